// Types of the pages' modules, for JSDoc comments; and the names that the model thread finds beside the browser's own.
declare function importScripts(...urls: string[]): void;
declare const ort: any; // onnxruntime-web, loaded by importScripts

/** Probabilities of every class after one depth. */
type Step = number[];

/** A member of a policy: its name with its dials; "tempered" has `policy` and `temperatures`. */
interface Member {
  name: string;
  policy?: Policy;
  temperatures?: number[];
  [dial: string]: any;
}

/** A text exits when any member holds. */
type Policy = Member[];

/** Signals of one text by depth, index 0 for depth 1. */
interface Signals {
  depths: number;
  entropy: Float32Array;
  confidence: Float32Array;
  gap: Float32Array;
  same: Float32Array;
  divergence: Float32Array;
  /** The signals as if the logits of depth m were divided by temperatures[m - 1]. */
  tempered(temperatures: number[]): Signals;
}

interface Rule {
  reason: string;
  member: Member;
  /** The temperatures at which the rule reads the signals, outermost first. */
  temperatures?: number[][];
  /** Whether the rule holds at a depth, from 1. */
  fires(signals: Signals, depth: number): boolean;
}

/** Depth from 1, and the reason of the first rule that held. */
interface Exit {
  depth: number;
  reason: string;
}

/** Why a window does not hold ("" if it does), and the depth from 1 that breaks it. */
interface WindowBreak {
  why: string;
  at: number;
}

/** One text over the depths under a policy: what the explorer and the offline page show. */
interface View {
  labels: string[];
  multiLabel: boolean;
  steps: Step[];
  signals: Signals;
  policy: Policy;
  exit: Exit;
}

/** The best label of a step; for multi-label all labels above one half, with score null. */
interface Answer {
  name: string;
  score: number | null;
  index: number;
}

/** Labelled texts with their probabilities at every depth, as the server sends them. */
interface Evaluation {
  labels: string[];
  depths: number;
  multi_label: boolean;
  texts: (string | [string, string])[];
  label: any[];
  probabilities: Step[][];
  entropy?: number[][];
}

/** What is computed once for an evaluation. */
interface PreparedEvaluation {
  depths: number;
  texts: { signals: Signals; answers: (string | number)[]; right: boolean[]; settled: number }[];
  fixed: number[];
  full: number;
}

interface PolicyScore {
  accuracy: number;
  meanDepth: number;
  speedup: number;
  rightAt: number[];
  wrongAt: number[];
  reasons: Map<string, number>;
  harmed: number;
  helped: number;
}

interface PolicyPoint {
  spec: string;
  accuracy: number;
  meanDepth: number;
}

/** Token ids of a row; `truncated` where it was cut to the longest length. */
interface EncodedRow {
  ids: number[];
  typeIds: number[];
  truncated: boolean;
}
