/** Does one task on the active backend: finds its body by its kind. Bodies are loaded when they are first needed. */
import type { ResolvedPlan } from "../plan/types.ts";
import type { Task, TaskProgress } from "./task.ts";
import { TaskContext } from "./task-context.ts";

/** Runs `task` and resolves with the artefacts written, relative to the run. Errors: those of the task; Interrupted. */
export async function runTask(
  runDir: string,
  plan: ResolvedPlan,
  task: Task,
  onProgress: (progress: TaskProgress) => void,
  stopping: () => boolean,
): Promise<string[]> {
  const context = new TaskContext(runDir, plan, task, onProgress, stopping);
  const { spec } = task;
  switch (spec.kind) {
    case "data":
      return (await import("./tasks/data.ts")).dataTask(context, spec.stage);
    case "language-model":
      return (await import("./tasks/language-model.ts")).languageModelTask(
        context,
        spec.stage,
        spec.arm,
      );
    case "expand":
      return (await import("./tasks/expand.ts")).expandTask(context, spec.stage);
    case "sae":
      return (await import("./tasks/sae.ts")).saeTask(context, spec.stage, spec.model, spec.jobs);
    case "crosscoder":
      return (await import("./tasks/crosscoder.ts")).crosscoderTask(context, spec.stage, spec.arm);
    case "activations":
      return (await import("./tasks/activations.ts")).activationsTask(context);
    case "evaluate":
      return (await import("./tasks/evaluate.ts")).evaluateTask(context, spec.stage);
    case "compare":
      return (await import("./tasks/compare.ts")).compareTask(context, spec.stage);
    case "likeness":
      return (await import("./tasks/likeness.ts")).likenessTask(context, spec.stage);
    case "circuits":
      return (await import("./tasks/circuits.ts")).circuitsTask(context, spec.stage);
    case "gates":
      return (await import("./tasks/gates.ts")).gatesTask(context, spec.stage);
    case "report":
      return (await import("./tasks/report.ts")).reportTask(context);
  }
}
