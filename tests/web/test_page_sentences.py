"""The pages' sentences about rules are those of Python, for the examples that both are held to."""

import json
from pathlib import Path

import pytest

EXAMPLES = json.loads((Path(__file__).parents[1] / "explain" / "sentences.json").read_text(encoding="utf-8"))
DESCRIBE = """(examples) => examples.map(({spec, probabilities, multi_label: multiLabel}) => {
  const policy = $specs.parsePolicy(spec);
  const rules = $rules.listRules(policy);
  const signals = $signals.computeSignals(probabilities, {multiLabel});
  const exit = $rules.findExit(signals, rules);
  return {
    depth: exit.depth,
    reason: exit.reason,
    why: $sentences.describeExit(rules, signals, exit),
    rules: rules.map((rule) => ({
      rule: $sentences.nameRule(rule),
      size: $sentences.countCovered(rule),
      states: probabilities.map((_, m) => $sentences.describeState(rule, signals, m + 1).state),
    })),
    gauge: $sentences.findGauge(policy),
  };
})"""


def test_sentences_are_those_of_python(v8):
    for example, found in zip(EXAMPLES, v8(DESCRIBE, EXAMPLES), strict=True):
        gauge = found.pop("gauge")
        compared = next((rule for rule in example["rules"] if rule["signal"] is not None), None)
        signals = ("signal", "threshold", "below")
        rules = [{name: rule[name] for name in ("rule", "size", "states")} for rule in example["rules"]]
        expected = {name: example[name] for name in ("depth", "reason", "why")} | {"rules": rules}
        assert found == expected, example["spec"]
        if compared is not None:
            assert [gauge[name] for name in signals] == [compared[name] for name in signals], example["spec"]
        else:
            assert gauge["threshold"] is None


@pytest.mark.parametrize("value", [0, 1, 0.1, 0.25, 1e-4, 9.9999e-5, 1e-5, 123456, 1234567, 1 / 3, 0.6931471805599453])
def test_numbers_are_printed_as_python_prints_them(v8, value):
    assert v8("(value) => $numbers.formatGeneral(value)", value) == f"{value:g}"
    assert v8("(value) => $numbers.formatFloat(value)", value) == repr(float(value))
