// Folders for the stories of the page: a data folder of sumi's with models and LoRAs, training runs.
import {appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {execFileSync} from 'node:child_process';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';

// A folder that is removed at the end.
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'sumi-page-'));
  process.on('exit', () => rmSync(folder, {recursive: true, force: true}));
  return folder;
}

export function put(file, content) {
  mkdirSync(dirname(file), {recursive: true});
  writeFileSync(file, content);
}

// The model that comes with the program.
export function bundledModel() {
  const [line] = execFileSync(process.env.SUMI_BINARY, ['list', 'models'], {encoding: 'utf8'}).split('\n');
  return line.split(/\s/)[0];
}

// A copy, under another name: a link to the same file would be the same model.
export function addModel(home, name) {
  mkdirSync(join(home, 'models'), {recursive: true});
  copyFileSync(bundledModel(), join(home, 'models', `${name}.safetensors`));
}

// A LoRA that changes one layer of the bundled model's text encoder.
export function addLora(home, name) {
  const layer = 'lora_te_text_model_encoder_layers_0_self_attn_q_proj', side = 192;
  const values = (count) => Float32Array.from({length: count}, (_, i) => Math.sin(i + 1));
  const down = values(side), up = values(side);
  const head = JSON.stringify({
    [`${layer}.lora_down.weight`]: {dtype: 'F32', shape: [1, side], data_offsets: [0, 4 * side]},
    [`${layer}.lora_up.weight`]: {dtype: 'F32', shape: [side, 1], data_offsets: [4 * side, 8 * side]}});
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  put(join(home, 'loras', `${name}.safetensors`), Buffer.concat([length, Buffer.from(head), Buffer.from(down.buffer),
    Buffer.from(up.buffer)]));
}

// A run as `sumi train` leaves it: so many logged steps; `sheets` are pictures by their step.
export function addRun(runs, name, steps, sheets = {}) {
  put(join(runs, name, 'metrics.csv'), 'step,loss,grad_norm,lr,seconds\n');
  logSteps(runs, name, 0, steps);
  for (const [step, png] of Object.entries(sheets)) put(join(runs, name, 'samples', `${step.padStart(8, '0')}.png`), png);
}
export function logSteps(runs, name, from, to) {
  let lines = '';
  for (let i = from; i < to; ++i) lines += `${i},${(1 / (1 + i / 10)).toFixed(6)},1.5,1e-05,0.25\n`;
  appendFileSync(join(runs, name, 'metrics.csv'), lines);
}
