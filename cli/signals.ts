/**
 * @file Ctrl-C. The first SIGINT (or SIGTERM) asks the work to stop: training saves its state after the
 * step, a measurement is dropped between two of its parts. A second one ends the process at once.
 */
let controller: AbortController | undefined;

/** The signal that the first SIGINT aborts; handlers are installed by the first call. */
export function interruption(): AbortSignal {
  if (controller) return controller.signal;
  const created = new AbortController();
  controller = created;
  const stop = (): void => {
    if (created.signal.aborted) process.exit(130);
    process.stderr.write(
      "\nstopping: training saves its state, other work begins again next time; press Ctrl-C again to stop at once\n",
    );
    created.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return created.signal;
}
