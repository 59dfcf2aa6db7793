// Submits the jobs of a grid one by one and watches them.
//
// A watch is a connection of its own, and browsers open few to one server: only the oldest jobs that are not over are
// watched; the server tells what has happened before.

const kWatched = 2;

// `cells` are {body, …}; show(cell) is called whenever one changes: its `state` is 'waiting', 'queued', 'drawing' (with
// `share`, 0 to 1), 'done' (with `url`), 'failed' (with `error`) or 'cancelled'. wait(seconds) tells that the server's
// queue is full; 0: no more. Returns {finished: Promise, cancel(), leave()}: leave() submits and watches nothing more,
// and lets the server draw what it has.
export function runGrid(cells, {submit, watch, cancelJob, show, wait}) {
  let cancelled = false, watching = 0, wake = () => {}, resolve;
  const toWatch = [], over = new Set(), stops = new Set();
  const finished = new Promise((done) => { resolve = done; });

  const set = (cell, change) => {
    Object.assign(cell, change);
    show(cell);
    if (['done', 'failed', 'cancelled'].includes(cell.state)) over.add(cell);
    if (over.size === cells.length) resolve();
  };
  const isOver = (cell) => over.has(cell);

  function watchNext() {
    while (watching < kWatched && toWatch.length > 0) follow(toWatch.shift());
  }

  function follow(cell) {
    ++watching;
    let stop = null, ended = false;
    const end = (change) => {
      if (ended) return;
      ended = true;
      if (!isOver(cell)) set(cell, change);
      --watching;
      queueMicrotask(() => {  // `stop` may not be here yet
        stop?.();
        stops.delete(stop);
        watchNext();
      });
    };
    try {
      stop = watch(cell.id, (event) => {
        const {name, data = {}} = event;
        if (name === 'running' && !isOver(cell)) set(cell, {state: 'drawing', share: 0});
        if (name === 'step' && !isOver(cell)) set(cell, {state: 'drawing', share: data.done / data.steps});
        if (name === 'picture') cell.url ??= `/v1/jobs/${cell.id}/pictures/${data.number}`;
        if (name === 'done') {
          end(cell.url ? {state: 'done'} : {state: 'failed', error: 'The job ended without a picture.'});
        }
        if (name === 'failed') end({state: 'failed', error: data.error || 'The job failed.'});
        if (name === 'cancelled') end({state: 'cancelled'});
        if (name === 'gone') end({state: 'failed', error: 'The server does not know this job any more.'});
      });
      stops.add(stop);
    } catch (error) {
      end({state: 'failed', error: error.message});
    }
  }

  const pause = (seconds) => new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    wake = () => {
      clearTimeout(timer);
      done();
    };
  });

  // Returns the job's id, or null where all was cancelled meanwhile. Waits as long as the queue is full.
  async function submitted(cell) {
    while (!cancelled) {
      try {
        return (await submit(cell.body)).id;
      } catch (error) {
        if (error.status !== 429) throw error;
        const seconds = Math.min(Math.max(Number(error.retryAfter) || 5, 1), 120);
        wait(seconds);
        await pause(seconds);
        wait(0);
      }
    }
    return null;
  }

  (async () => {
    for (const cell of cells) {
      if (isOver(cell)) continue;
      try {
        const id = await submitted(cell);
        if (id === null) return;
        cell.id = id;
        if (cancelled) {
          if (isOver(cell)) cancelJob(id);
          return;
        }
        set(cell, {state: 'queued'});
        toWatch.push(cell);
        watchNext();
      } catch (error) {
        set(cell, {state: 'failed', error: error.message});
      }
    }
  })();

  return {
    finished,
    cancel() {
      cancelled = true;
      toWatch.length = 0;
      wake();
      for (const cell of cells) {
        if (isOver(cell)) continue;
        if (cell.id) cancelJob(cell.id);
        set(cell, {state: 'cancelled'});
      }
    },
    leave() {
      cancelled = true;
      toWatch.length = 0;
      wake();
      for (const stop of stops) stop();
    },
  };
}
