/* The page's side of the model thread: the newest text is sent, answers to older ones are dropped. */

/* handlers = {progress, ready, answer, every, wrong}: called with each kind of message. */
export function startModelThread(about, source, handlers) {
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  let latest = 0;
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
    const late = data.number !== undefined && data.number !== latest;
    if (!late) handlers[data.kind]?.(data);
  };
  worker.onerror = (event) => handlers.wrong({ message: event.message ?? "the model's thread did not start" });
  worker.postMessage({ kind: "load", base: document.baseURI, about });

  return {
    classify(request) {
      next = { number: ++latest, ...request };
      send();
    },
    forget() {
      latest++;
      next = null;
    },
  };
}
