// Starts `sumi serve` on a free port for a test, and stops it.
import {spawn} from 'node:child_process';
import {once} from 'node:events';

// Its URL and the process. `words`: further options.
export async function startServer(words = [], env = {}) {
  const program = process.env.SUMI_BINARY;
  if (!program) throw new Error('SUMI_BINARY must name the program');
  const child = spawn(program, ['serve', ...(words.includes('--port') ? [] : ['--port', '0']), ...words],
                      {stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...env}});
  let errors = '';
  child.stderr.on('data', (bytes) => { errors += bytes; });
  const url = await new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (bytes) => {
      out += bytes;
      if (out.includes('\n')) resolve(out.trim());
    });
    child.on('exit', (code) => reject(new Error(`sumi serve ended with ${code}: ${errors}`)));
  });
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const over = once(child, 'exit');
    child.kill(signal);
    await over;
  };
  return {url, child, stop, errors: () => errors};
}

// Calls until it gives something true, a minute at most.
export async function until(call, what = 'it') {
  for (let i = 0; i < 600; ++i) {
    const value = await call();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited for ${what} in vain`);
}

// PNG's width and height.
export function sizeOf(png) {
  if (png.subarray(1, 4).toString() !== 'PNG') throw new Error('no PNG');
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}
