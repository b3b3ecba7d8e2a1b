/* How labelled texts look in the explorer, by the kind of answer: the score of the task, answers and labels by name. */

import { findAnswer } from "../policy/answers.js";
import { formatPercent, formatPlural } from "../shared/dom.js";

const MOST_WORDS = 5;

const percent = (name) => ({
  name,
  axis: { label: `${name}, %`, format: (value) => formatPercent(value) },
  format: (value) => `${formatPercent(value)} %`,
  formatDifference: (value) => `${(100 * value).toFixed(1)} points`,
});

/* One class for each text. isGraded: whether answers are right or wrong; isShareOfTexts: whether the score is the share of
   right ones; wrong: title and words of the list of wrong answers, where they are others than of classes. */
const classForm = {
  isGraded: true,
  score: percent("Accuracy"),
  isShareOfTexts: true,
  wrong: null,
  listStacks: ({ exitsAt, rightAt }) => [
    { name: "right", color: "-right", values: rightAt },
    { name: "wrong", color: "-wrong", values: exitsAt.map((n, m) => n - rightAt[m]) },
  ],
  hasLabel: (label, c) => label === c,
  nameTruth: (table, i) => table.labels[table.label[i]],
  nameAnswer: ({ labels, probabilities }, i, depth) => findAnswer(probabilities[i][depth - 1], labels, false).name,
  describeLast(table, i, { right }) {
    const last = this.nameAnswer(table, i, table.depths);
    return right.at(-1) ? `${last}, right` : `${last} instead of ${this.nameTruth(table, i)}`;
  },
};

/* Any number of labels for each text. */
const labelsForm = {
  ...classForm,
  hasLabel: (label, c) => label[c],
  nameTruth: ({ labels, label }, i) => labels.filter((_, c) => label[i][c]).join(", ") || "no label",
  nameAnswer: ({ labels, probabilities }, i, depth) => findAnswer(probabilities[i][depth - 1], labels, true).name,
};

/* A value for each text. */
const valueForm = {
  ...classForm,
  isGraded: false,
  isShareOfTexts: false,
  score: {
    name: "Spearman's correlation",
    axis: { label: "Spearman's correlation", format: (value) => value.toFixed(3) },
    format: (value) => value.toFixed(3),
    formatDifference: (value) => value.toFixed(3),
  },
  wrong: ["Largest errors", "Texts by the distance of the last depth's value from the label, largest first."],
  listStacks: ({ exitsAt }) => [{ name: "texts", color: "-right", values: exitsAt }],
  hasLabel: null,
  nameTruth: ({ label }, i) => label[i].toFixed(3),
  nameAnswer: ({ probabilities }, i, depth) => probabilities[i][depth - 1][0].toFixed(3),
  describeLast(table, i, { errors }) {
    const last = this.nameAnswer(table, i, table.depths);
    return `${last}, ${errors.at(-1).toFixed(3)} from the label ${this.nameTruth(table, i)}`;
  },
};

const nameTag = (labels, c) => (c < 0 ? "O" : labels[c]);

function nameTags({ labels, texts }, i, found) {
  const words = texts[i].split(" ");
  const names = found.map((c, word) => `${words[word]} ${nameTag(labels, c)}`);
  return names.filter((_, word) => nameTag(labels, found[word]) !== "O").join(", ") || "none";
}

/* A tag for each word. A text is right where all its spans are. */
const tagsForm = {
  ...classForm,
  score: percent("Span F1"),
  isShareOfTexts: false,
  wrong: ["Wrong", "Texts by the number of words that the last depth tags wrong, most first."],
  hasLabel: (label, c) => label.includes(c),
  nameTruth: (table, i) => nameTags(table, i, table.label[i]),
  nameAnswer: (table, i, depth) => nameTags(table, i, table.tags[i][depth - 1]),
  describeLast({ labels, texts, label, tags }, i, { errors }) {
    const count = errors.at(-1);
    if (!count) return "all words right";
    const words = texts[i].split(" ");
    const name = (c) => nameTag(labels, c);
    const wrong = tags[i]
      .at(-1)
      .map((tag, word) =>
        tag === label[i][word] ? "" : `${words[word]} ${name(tag)} instead of ${name(label[i][word])}`,
      );
    const listed = wrong.filter(Boolean).slice(0, MOST_WORDS).join(", ");
    return `${count} of ${formatPlural(words.length, "word")} wrong: ${listed}${count > MOST_WORDS ? ", …" : ""}`;
  },
};

/* By Task.answer_kind. */
export const LABELLED_FORMS = { class: classForm, labels: labelsForm, value: valueForm, tags: tagsForm };
