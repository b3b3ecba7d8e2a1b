// Types of the pages' modules, for JSDoc comments; and the names that the model thread finds beside the browser's own.
declare function importScripts(...urls: string[]): void;
declare const ort: any; // onnxruntime-web, loaded by importScripts

/** Probabilities of every class after one depth. */
type Step = number[];

/** A number of the table that a dial sets: dial * factor + plus. */
interface DialNumber {
  dial: string;
  factor: number;
  plus: number;
}

interface Dial {
  name: string;
  label: string;
  default: any;
  type: "int" | "float" | "choice";
  low?: number;
  high?: number;
  /** What each choice means. */
  choices?: Record<string, string>;
}

/** A rule of the table; thresholds and sizes of its conditions are numbers, or numbers that a dial sets. */
interface RuleForm {
  reason: string;
  when: { dial: string; choice: string } | null;
  conditions: { kind: string; signal: string; op: string; threshold: any; size: any }[];
}

interface PolicyKind {
  name: string;
  dials: Dial[];
  rules: RuleForm[];
  summary: string;
  citation: string;
  examples: any[][];
}

interface Signal {
  name: string;
  needs: "probabilities" | "values";
  worst: "max" | "min";
  first: number | "inf" | null;
  words: [string, string] | null;
  scale: number | null;
  about: string;
  script(now: number[], before: number[], tools: Record<string, Function>): number;
}

/** elbert.exits.encoding.policy_table. */
interface PolicyTable {
  signals: Signal[];
  /** Words of each kind of condition: in short, what keeps it from holding, and beside the value of a text. */
  conditions: Record<string, [string, string, string]>;
  /** The sign of each comparison and of its opposite. */
  signs: Record<string, [string, string]>;
  policies: PolicyKind[];
  families: {
    name: string;
    colour: string;
    dash: string;
    marker: string;
    is_tempered: boolean;
    grids: { policy: string; axes: Record<string, any> }[];
  }[];
  /** fits: whether temperatures fit the outputs of the model. */
  tempered: { low: number; high: number; most: number; fits: boolean };
  roles: { full: string; fixed_depth: string; ours: string };
  max_spec_length: number;
  max_values: { per_depth: number; least: number };
}
declare const POLICY_TABLE: PolicyTable;

/** A member of a policy: its name with its dials; "tempered" has `policy` and `temperatures` instead. */
interface Member {
  name: string;
  dials?: Record<string, any>;
  policy?: Policy;
  temperatures?: number[];
}

/** A text exits when any member holds. */
type Policy = Member[];

interface SignalOptions {
  /** Every label is a question of its own. */
  multiLabel?: boolean;
  /** Every word is a question of its own. */
  hasWords?: boolean;
  content?: "probabilities" | "values";
  /** The unit of values. */
  scale?: number;
  known?: Record<string, number[] | undefined>;
}

/** Signals of one text by depth, index 0 for depth 1. */
interface Signals {
  depths: number;
  read(name: string): Float32Array;
  /** The signals as if the logits of depth m were divided by temperatures[m - 1]. */
  tempered(temperatures: number[]): Signals;
}

/** A condition with plain numbers; `bound` is its threshold in float32. at_depth alone has no signal, "". */
interface Condition {
  kind: string;
  signal: string;
  op: string;
  threshold: number;
  size: number;
  compare(a: number, b: number): boolean;
  bound: number;
}

interface Rule {
  reason: string;
  conditions: Condition[];
  /** The number of depths that it needs. */
  size: number;
  /** The temperatures at which the rule reads the signals, outermost first. */
  temperatures: number[][];
}

/** Depth from 1, the reason of the first rule that held, and the index of that rule; -1 at the last depth. */
interface Exit {
  depth: number;
  reason: string;
  rule: number;
}

/** A signal beside the threshold that a rule compares it with, if any. */
interface Gauge {
  rule: Rule | null;
  signal: string;
  threshold?: number | null;
  bound?: number;
  op?: string;
  below: boolean;
  sign: string;
}

/** One text over the depths under a policy: what the explorer and the offline page show. */
interface View {
  /** How the answers of the task look (explorer/answer_forms.js). */
  form: any;
  /** The unit of the signals of values; else 1. */
  unit?: number;
  labels: string[];
  multiLabel: boolean;
  /** Of each depth: probabilities, a value, or tagged words. */
  steps: any[];
  /** The depth of the first step, if others than 1 (shared/tag_table.js). */
  first?: number;
  signals: Signals;
  policy: Policy;
  rules: Rule[];
  exit: Exit;
}

/** The best label of a step; for multi-label all labels above one half, with score null. */
interface Answer {
  name: string;
  score: number | null;
  index: number;
}

/** Labelled texts with their answers at every depth, as the server sends them. */
interface Evaluation {
  /** Task.answer_kind */
  answers: string;
  labels: string[];
  depths: number;
  texts: (string | [string, string])[];
  label: any[];
  probabilities?: Step[][];
  entropy?: number[][];
  /** Of values: the unit of signals, and how far answers may be apart and count as the same. */
  unit?: number;
  tolerance?: number;
  /** Of tags: [text][depth][word], and each signal [text][depth]. */
  tags?: number[][][];
  signals?: Record<string, (number | null)[][]>;
}

/** What is computed once for an evaluation; errors, right and parts of a text are by depth (policy/task_scores.js). */
interface PreparedEvaluation {
  depths: number;
  texts: {
    signals: Signals;
    answers: (string | number)[];
    errors: number[];
    right: boolean[] | null;
    parts: any[];
    settled: number;
  }[];
  /** Of all texts, one text after the other. */
  signals: Signals;
  score(parts: any[]): number;
  areSame(a: string | number, b: string | number): boolean;
  slack: number;
  fixed: number[];
  full: number;
}

/** rightAt counts nothing for values, which are not right or wrong. */
interface PolicyScore {
  score: number;
  meanDepth: number;
  speedup: number;
  exitsAt: number[];
  rightAt: number[];
  reasons: Map<string, number>;
  harmed: number;
  helped: number;
}

interface PolicyPoint {
  spec: string;
  score: number;
  meanDepth: number;
}

/** A token of a word, and how many of its characters it takes. */
interface WordToken {
  id: number;
  size: number;
}

/**
 * A token of a row with its characters, code points as in Python; special tokens of the template have none. `isAdded`: a
 * special token that occurs in the text itself.
 */
interface RowToken {
  id: number;
  start?: number;
  end?: number;
  isAdded?: boolean;
}

/** A row of tokens; `truncated` where it was cut to the longest length. */
interface EncodedRow {
  ids: number[];
  typeIds: number[];
  tokens: RowToken[];
  truncated: boolean;
}

/** A token of a text: its place in the row, its characters, and whether it begins a word. */
interface Piece {
  id: number;
  position: number;
  start: number;
  end: number;
  isFirst: boolean;
}
