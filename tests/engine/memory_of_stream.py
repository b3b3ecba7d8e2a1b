"""Print by how many MB the peak of memory grows while long documents are classified: NUMBER FORM."""

import resource
import sys

from elbert import Classifier

FORMS = {
    "words": "the film is good and the plot is slow but charming " * 1960,
    "lines": '{"film":12,"plot":"slow","stars":[1,2,3]},' * 2400,
    "spaces": " " * 99_000 + "a good film",
    "one word": "x" * 100_000,
}


def read_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


number, document = int(sys.argv[1]), FORMS[sys.argv[2]]
classifier = Classifier.load()
classifier.predict(["a film"])
before = read_peak()
count = sum(1 for _ in classifier.stream((f"{i} {document}" for i in range(number)), policy="depth(1)"))
assert count == number
sys.stdout.write(f"{read_peak() - before}\n")
