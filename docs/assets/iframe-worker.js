// Search when the pages are opened from disk. Browsers refuse workers there, so the script of the
// search runs in a hidden frame that looks like a worker, to the page and to the script.
(() => {
  if (location.protocol !== "file:") return;

  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentDocument;
      inside.open();
      inside.write("<!doctype html><title>search</title><body></body>");
      inside.close();
      this.window = frame.contentWindow;
      this.window.postMessage = (data) => this.receive(data);
      this.window.importScripts = (...urls) =>
        urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve());
      this.load(url).then(() => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      });
    }

    load(url) {
      return new Promise((done, failed) => {
        const script = this.window.document.createElement("script");
        script.src = url;
        script.onload = done;
        script.onerror = failed;
        this.window.document.body.append(script);
      });
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.window.dispatchEvent(new MessageEvent("message", { data }));
    }

    receive(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }

    terminate() {
      this.window.frameElement.remove();
    }
  }

  window.IFrameWorker = IFrameWorker; // the script of the search asks for this name
  window.Worker = IFrameWorker;
})();
