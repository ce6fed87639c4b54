"use strict";
// The stream of live events: one for all tabs of a browser, since HTTP/1.1 allows it six connections to a host, and
// only while one of them is looked at. Runs as a SharedWorker; a page whose browser has none runs it by itself.

const STREAM_LINGER_MS = 3000; // somebody who goes from page to page needs no new stream each time
const STREAM_RETRY_MS = 1000, STREAM_LONGEST_MS = 30000; // after an answer that was no stream; twice as long each time

class LiveStream {
  #tabs = new Map(); // those that are looked at: the function that tells a tab, and the kinds of news that it wants
  #heard = new Set();
  #source = null;
  #tries = 0;
  #retry = 0;
  #linger = 0;

  // Tell a tab, from now on, {state: "open"}, {state: "lost"}, and {kind, data} for news of these kinds.
  show(tell, kinds) {
    this.#tabs.set(tell, new Set(kinds));
    clearTimeout(this.#linger);
    for (const kind of kinds) {
      if (this.#heard.has(kind)) continue;
      this.#heard.add(kind);
      if (this.#source) this.#hear(kind);
    }
    if (!this.#source || this.#source.readyState === EventSource.CLOSED) this.#open();
    else if (this.#source.readyState === EventSource.OPEN) tell({ state: "open" });
  }

  hide(tell) {
    this.#tabs.delete(tell);
    if (this.#tabs.size) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#close(), STREAM_LINGER_MS);
  }

  #open() {
    this.#close();
    this.#source = new EventSource("/events");
    this.#heard.forEach((kind) => this.#hear(kind));
    this.#source.onopen = () => {
      this.#tries = 0;
      this.#tell({ state: "open" });
    };
    this.#source.onerror = () => {
      this.#tell({ state: "lost" });
      if (this.#source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
      const wait = Math.min(STREAM_RETRY_MS * 2 ** this.#tries++, STREAM_LONGEST_MS);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => { if (this.#tabs.size) this.#open(); }, wait);
    };
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #hear(kind) {
    this.#source.addEventListener(kind, (event) => {
      this.#tabs.forEach((kinds, tell) => { if (kinds.has(kind)) tell({ kind, data: JSON.parse(event.data) }); });
    });
  }

  #tell(message) {
    this.#tabs.forEach((_, tell) => tell(message));
  }
}

if (typeof SharedWorkerGlobalScope !== "undefined") {
  const stream = new LiveStream();
  self.onconnect = ({ ports: [port] }) => {
    const tell = (message) => port.postMessage(message);
    port.onmessage = ({ data }) => {
      if (data.show) stream.show(tell, data.show);
      else stream.hide(tell);
    };
  };
}
