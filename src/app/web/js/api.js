// Calls of the server: JSON in and out, and a job's events.
//
//   const job = await post('/v1/jobs', body);                      // throws ApiError with a sentence
//   const stop = watchJob(job.id, ({name, data}) => {…});

// `status` 0: the server did not answer.
export class ApiError extends Error {
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const listeners = new Set();
// Calls `call(true or false)` whenever a request shows that the server answers, or does not.
export function onAnswer(call) {
  listeners.add(call);
}
const tell = (answered) => listeners.forEach((call) => call(answered));

// Whole numbers beyond 2^53 (seeds) become strings of their digits, which requests take too.
export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (token) =>
    (/^\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token)));
}

async function call(method, path, {body, type = 'application/json', timeout = 60000, keepalive = false} = {}) {
  let reply, text;
  try {
    reply = await fetch(path, {method, keepalive, body, headers: body === undefined ? {} : {'Content-Type': type},
      signal: keepalive ? undefined : AbortSignal.timeout(timeout)});
    text = await reply.text();
  } catch {
    tell(false);
    throw new ApiError('The server does not answer. Is it still running?', 0);
  }
  tell(true);
  let json = null;
  try {
    json = text ? parse(text) : null;
  } catch { /* said below */ }
  if (!reply.ok) {
    throw new ApiError(json?.error?.message ?? `The server answered with ${reply.status} ${reply.statusText}.`,
      reply.status, reply.headers.get('Retry-After'));
  }
  if (text && json === null) throw new ApiError('The server answered with something that is not JSON.', reply.status);
  return json;
}

export const get = (path, options) => call('GET', path, options);
export const post = (path, value, options) => call('POST', path, {body: JSON.stringify(value), ...options});
export const postFile = (path, file) => call('POST', path, {body: file, type: file.type || 'application/octet-stream'});
export const remove = (path, options) => call('DELETE', path, options);

export const jobPath = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

const kEnds = new Set(['done', 'failed', 'cancelled']);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Calls `call({name, data})` with what has happened to a job and what happens, until it is over; a lost connection is
// taken up where it broke. {name: 'gone'}: there is no such job. Returns how to stop.
export function watchJob(id, call) {
  const stop = new AbortController();
  let last = '', over = false;
  const take = ({name, data, number}) => {
    if (stop.signal.aborted) return;
    if (number) last = number;
    over ||= kEnds.has(name);
    call({name, data});
  };
  (async () => {
    for (let tries = 0; !over && !stop.signal.aborted; ++tries) {
      if (tries > 0) await pause(Math.min(tries, 5) * 1000);
      if (stop.signal.aborted) return;
      try {
        const reply = await fetch(`${jobPath(id)}/events`, {signal: stop.signal, cache: 'no-store',
          headers: last ? {'Last-Event-ID': last} : {}});
        if (reply.status === 404) {
          over = true;
          call({name: 'gone', data: {}});
        } else if (reply.ok) {
          await readEvents(reply.body, (event) => {
            tries = 0;
            take(event);
          });
        }
      } catch {
        if (!stop.signal.aborted) tell(false);
      }
    }
  })();
  return () => stop.abort();
}

// Server-Sent Events: call({name, data, number}) for each.
export async function readEvents(stream, call) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {event: '', data: '', id: ''};
      for (const line of block.split(/\r?\n/)) {
        const match = /^(event|data|id): ?(.*)$/.exec(line);
        if (match) fields[match[1]] += (match[1] === 'data' && fields.data ? '\n' : '') + match[2];
      }
      if (fields.event) call({name: fields.event, data: parse(fields.data || '{}'), number: fields.id});
    }
  }
}
