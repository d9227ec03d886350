/** Rows of a chart of points with intervals on one axis of shares. */
import type { Interval } from "../run-data/estimate.ts";

/** One row. */
export interface IntervalRow {
  readonly label: string;
  /** The label where there is little room. */
  readonly short: string;
  /** A code such as CG, shown dimly; may be empty. */
  readonly code: string;
  readonly value: number;
  readonly ci: Interval;
  /** Drawn as a ring. */
  readonly secondary: number | null;
  readonly colour: string;
  /** Set in the text's own colour, the others dimmer. */
  readonly isMain: boolean;
  /** A bar from here to the value: what was gained. */
  readonly from: number | null;
  /** A hollow bar on to here: what could have been gained. */
  readonly to: number | null;
}
