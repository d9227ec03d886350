/** Likeness over training: a grown model held against its parent and against a from-scratch model of its size. */
export {
  type ChildMeasure,
  type ChildPoint,
  type Crossing,
  crossing,
  type Likenesses,
  type LikenessMeasures,
  likenessCurves,
  type SaeLikeness,
  type ScratchMeasure,
} from "./curves.ts";
export {
  type Likeness,
  type LikenessDocument,
  type LikenessReference,
  likenessDocument,
  likenessOfCodes,
  likenessReference,
  likenessTo,
} from "./likeness.ts";
export {
  type ModelRows,
  ownCodes,
  type Reading,
  type Runs,
  readThroughFit,
  runsOf,
} from "./read-through-fit.ts";
