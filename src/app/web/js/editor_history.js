// Undo and redo with bounded memory. An entry is {bytes, apply()}: apply() exchanges what it holds with what is there,
// so that the same entry undoes and does again. Beyond the bound the oldest are forgotten; the last one is always kept.

export class History {
  constructor(mostBytes = 64 << 20) {
    this.mostBytes = mostBytes;
    this.bytes = 0;
    this.past = [];
    this.future = [];
  }

  push(entry) {
    for (const lost of this.future) this.bytes -= lost.bytes;
    this.future = [];
    this.past.push(entry);
    this.bytes += entry.bytes;
    while (this.bytes > this.mostBytes && this.past.length > 1) this.bytes -= this.past.shift().bytes;
  }

  undo() {
    return this.#move(this.past, this.future);
  }

  redo() {
    return this.#move(this.future, this.past);
  }

  // Returns whether there was one.
  #move(from, to) {
    const entry = from.pop();
    if (!entry) return false;
    entry.apply();
    to.push(entry);
    return true;
  }
}
