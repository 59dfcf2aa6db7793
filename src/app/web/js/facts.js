// A picture's settings, as pairs of a name and a value for reading.
import {bytesText, durationText} from './files.js';

const percent = (value) => `${Math.round(value * 100)} %`;

export function factsOf({job, picture}) {
  const s = job.settings ?? {}, facts = [];
  const add = (name, value) => {
    if (value !== undefined && value !== null && value !== '') facts.push([name, String(value)]);
  };
  add('Size', `${picture.width} × ${picture.height}`);
  if (job.upscaling) {
    add('Enlarged by', job.request?.upscaler);
    add('Times', job.request?.scale);
    return facts;
  }
  add('Seed', picture.seed);
  add('Model', job.model);
  add('VAE', s.vae);
  add('Steps', s.steps);
  add('Guidance', s.scale);
  add('Sampler', s.sampler);
  add('Schedule', s.schedule);
  add('Not in it', s.negative_prompt);
  if (s.init) add('Change', percent(s.strength));
  if (s.mask) add('Mask', `${s.mask_content}, soft by ${s.mask_blur} pixels`);
  if (s.extend?.length) add('Extended', s.extend.join(', '));
  if (s.hires) add('Second pass', `${s.hires.scale} times, ${s.hires.upscaler}, change ${percent(s.hires.strength)}`);
  for (const control of s.controls ?? []) add('Hint', `${control.model}, weight ${control.weight}`);
  for (const lora of s.loras ?? []) add('LoRA', `${lora.file.replace(/^.*\//, '')}, ${lora.weight}`);
  add('Edges that fit', s.seamless);
  if (s.planned_bytes) add('Memory', bytesText(s.planned_bytes));
  if (job.finished && job.started) add('Took', durationText(job.finished - job.started));
  return facts;
}
