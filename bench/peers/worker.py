"""A peer's process: readies one task and runs blocks of it, one JSON document a line on stdin and stdout."""

import importlib
import json
import os
import sys
import time
import traceback

protocol = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what libraries print goes to stderr


def main():
    module = task = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "load":
                module = importlib.import_module(request["task"])
                if "torch" in sys.modules:
                    sys.modules["torch"].set_num_threads(request["threads"])
                reply = {"version": module.load(request["variant"])}
            elif request["do"] == "prepare":
                task = module.prepare(request["variant"], request["sizes"], request["folder"])
                reply = {}
            else:
                start = time.perf_counter()
                figures = task(request["count"])
                reply = {"seconds": time.perf_counter() - start, **(figures or {})}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        protocol.write(json.dumps(reply) + "\n")


main()
