// Settings from elsewhere into the form: of a picture's file, or of a job of the server.
import {ApiError, postFile} from './api.js';
import {askFor, toast, toastError} from './dialogs.js';
import {formOf} from './request.js';

const kBegin = {label: 'Begin from it', name: 'begin'};

export class Restore {
  constructor({form, begin, hints, options}) {
    Object.assign(this, {form, begin, hints, options});
  }

  // A file that was chosen, dropped or pasted. Without settings it is offered as a picture to begin from.
  async file(file) {
    let found;
    try {
      found = await postFile('/v1/settings', file);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 0 || error.status === 413 || error.status >= 500) {
        toastError(error);
        return;
      }
      return this.#offer(file, error.status === 404 ? 'Its settings cannot be read by this server.' : error.message);
    }
    const {request, number = 0, model, vae, from, untaken = []} = found;
    const picture = {number, prompt: request.prompts?.length === 1 ? request.prompts[0] : undefined,
      seed: request.seeds?.[number] ?? String(BigInt(request.seed ?? 0) + BigInt(request.seeding === 'picture' ? number : 0))};
    const left = this.#take(request, request.seed === undefined && !request.seeds?.length ? null : picture, {model, vae});
    if (untaken.length > 0) left.push(...untaken);
    toast(`Settings restored from ${file.name || 'the picture'}${from ? ` (${from})` : ''}.` +
      (left.length > 0 ? ` Not in them: ${left.join(', ')}.` : ''),
    {seconds: left.length > 0 ? 15 : 8, action: {label: kBegin.label, call: () => this.begin.takeFile(file)}});
    document.getElementById('prompt').focus();
  }

  async #offer(file, why) {
    const answer = await askFor({id: 'nothing-dialog', title: 'No settings in it',
      text: `${file.name || 'This picture'}: ${why} It can be a picture to begin from.`,
      answers: {begin: 'Begin from it', hint: 'Use it as a hint', none: 'Neither'}});
    if (answer === 'begin') await this.begin.takeFile(file);
    if (answer === 'hint' && this.hints.add()) {
      this.hints.takeFile(this.hints.values.length - 1, file);
    }
  }

  // The settings of a job, or of one of its pictures.
  job(job, picture = null) {
    if (job.upscaling) {
      toast('This picture was enlarged, not drawn: reuse the settings of the one that it was made of.');
      return;
    }
    const left = this.#take(job.request, picture, {model: job.model, vae: job.vae});
    toast(left.length === 0 ? 'Its settings are in the form.' :
      `Its settings are in the form, but for ${left.join(', ')}: give it again.`);
  }

  // Returns in words what could not be taken.
  #take(request, picture, {model, vae}) {
    const {values, extras, hints, missing} = formOf(request, picture);
    const known = this.options.models.some(({name}) => name === model);
    if (model && known) values.model = model;
    else if (model) missing.push(`the model ${model}, which is not here`);
    values.vae = vae ?? '';
    this.form.set(values, extras);
    if (this.begin.value) this.begin.set(null);
    this.hints.set(hints);
    if (values['hires-on']) document.getElementById('fold-second').open = true;
    if (Object.keys(extras).length > 0) document.getElementById('fold-advanced').open = true;
    this.options.describeModel().catch(() => {});  // told by the connection's banner
    return missing;
  }
}
