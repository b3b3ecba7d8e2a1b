"use strict";
/* The page's end of the model's thread: the newest text goes in, answers to older ones are passed over. */
const ModelThread = (() => {
  /* heard = {progress, ready, answer, every, wrong}: what is called with each kind of message. */
  function start(about, source, heard) {
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    let asked = 0;
    let busy = true; // until it is loaded
    let next = null;

    function send() {
      if (busy || !next) return;
      busy = true;
      worker.postMessage({ kind: "classify", ...next });
      next = null;
    }

    worker.onmessage = ({ data }) => {
      if (data.kind === "idle") {
        busy = false;
        send();
      }
      const late = data.number !== undefined && data.number !== asked;
      if (!late) heard[data.kind]?.(data);
    };
    worker.onerror = (event) => heard.wrong({ message: event.message ?? "the model's thread did not start" });
    worker.postMessage({ kind: "load", base: document.baseURI, about });

    return {
      classify(request) {
        next = { number: ++asked, ...request };
        send();
      },
      forget() {
        asked++;
        next = null;
      },
    };
  }

  return { start };
})();
