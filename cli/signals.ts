/**
 * @file Ctrl-C. The first SIGINT (or SIGTERM) asks the work to save its state and stop; a second one
 * ends the process at once. Long work looks at the signal between its steps.
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
      "\nstopping after this step and saving; press Ctrl-C again to stop at once\n",
    );
    created.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return created.signal;
}
