/** Circuits, head scores, the five questions and gates: what other folders may use. */

export { type AttributionOptions, attribute } from "./attribution.ts";
export {
  type CircuitScores,
  chooseSize,
  type RandomScore,
  randomNodes,
  randomSameKinds,
  type SweepRow,
  scoreCircuit,
  sweep,
  sweepAreas,
} from "./circuit.ts";
export {
  type CircuitDocument,
  type CircuitOptions,
  type CircuitParent,
  type CircuitStage,
  circuitDefaults,
  circuitFile,
  describeCircuit,
  type MappedCircuit,
  type PromptSummary,
  scoreAtExpansion,
} from "./circuit-document.ts";
export {
  type CircuitModel,
  circuitModel,
  type Dictionary,
  type Recording,
  record,
  saeDictionary,
} from "./circuit-model.ts";
export {
  answerFiveQuestions,
  type FiveQuestions,
  type QuestionAnswer,
} from "./five-questions.ts";
export {
  evaluateGates,
  type Gate,
  type GateEvidence,
  type GateResult,
  type GatesDocument,
  gateKinds,
  type HeldOutLossGate,
} from "./gates.ts";
export {
  type GrowthComparison,
  type GrowthReport,
  type GrowthStage,
  growthReport,
} from "./growth-report.ts";
export {
  type HeadScoreKind,
  type HeadScoreOptions,
  type HeadScores,
  type HeadTable,
  headScoreKinds,
  headScores,
} from "./head-scores.ts";
export {
  type CarriedHead,
  carriedHeads,
  mapNode,
  mapNodes,
  mappedHook,
} from "./map-circuit.ts";
export {
  type CircuitNode,
  errorShare,
  type NodeRef,
  type NodeType,
  nodeJaccard,
  nodeKey,
  rankNodes,
} from "./nodes.ts";
export { type PatchSetting, patchSetting, runCircuit } from "./patching.ts";
export type {
  Answer,
  EvalEvidence,
  FiveQuestionsInput,
  LikenessEvidence,
  LossPoint,
  PersistenceEvidence,
  StageEvidence,
} from "./questions/evidence.ts";
export { faithfulness, type Score } from "./statistics.ts";
export {
  type NotApplicable,
  type PromptSet,
  promptDigest,
  splitPrompts,
  type TaskName,
  type TaskSource,
  taskNames,
} from "./tasks/prompts.ts";
export { buildTasks, chooseTask, measureTask, type TaskFigures } from "./tasks/tasks.ts";
