"""The same columns to an Arrow file by pyarrow, flushed to disk as ours is."""

import os

import numpy as np
import pyarrow as pa


def load(variant):
    return f"pyarrow {pa.__version__}"


def prepare(variant, sizes, folder):
    width, rows, batches = sizes["width"], sizes["rows"], sizes["batches"]
    values = np.fromfile(f"{folder}/batch.f32", dtype=np.float32)
    path = f"{folder}/pyarrow.arrow"
    names = ["doc", "pos", "token_id", "token", "blocks.0.hook_resid_post"]
    words = pa.array([f"t{i}" for i in range(256)])
    schema = pa.schema(
        [
            pa.field("doc", pa.int32()),
            pa.field("pos", pa.int32()),
            pa.field("token_id", pa.int32()),
            pa.field("token", pa.dictionary(pa.int32(), pa.utf8())),
            pa.field(names[-1], pa.list_(pa.field("item", pa.float32(), nullable=False), width)),
        ]
    )

    def run(count):
        for _ in range(count):
            with open(path, "wb") as file:
                with pa.ipc.new_file(file, schema) as writer:
                    for at in range(batches):
                        pos = np.arange(rows, dtype=np.int32)
                        ids = pa.array(pos % 256)
                        columns = [
                            pa.array(np.full(rows, at, dtype=np.int32)),
                            pa.array(pos),
                            ids,
                            pa.DictionaryArray.from_arrays(ids, words),
                            pa.FixedSizeListArray.from_arrays(pa.array(values), type=schema.field(4).type),
                        ]
                        writer.write_batch(pa.record_batch(columns, schema=schema))
                file.flush()
                os.fsync(file.fileno())

    return run
