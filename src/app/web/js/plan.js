// The memory that a drawing takes, told before it begins, and what is wrong with the settings while they are typed.
import {post} from './api.js';
import {showFormError} from './errors.js';
import {bytesText} from './files.js';

const kWait = 700;  // ms after the last change
const kMostBytes = 8 << 20;  // of a body with pictures

export class Plan {
  #timer = 0;
  #asked = 0;
  #last = '';

  // `body()` gives what would be submitted, or throws.
  constructor(body, options) {
    this.body = body;
    this.options = options;
  }

  later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), kWait);
  }

  async #ask() {
    const place = document.getElementById('memory');
    let text;
    try {
      text = JSON.stringify(this.body());
    } catch {
      return;  // said when it is drawn
    }
    if (text === this.#last || text.length > kMostBytes) return;
    const mine = ++this.#asked;
    try {
      const plan = await post('/v1/plan', JSON.parse(text));
      if (mine !== this.#asked) return;
      this.#last = text;
      const {budget, free} = this.options.all.memory, most = budget || free;
      const size = plan.settings?.width ? `${plan.settings.width} × ${plan.settings.height}, ` : '';
      place.textContent = plan.planned_bytes ?
        `${size}takes ${bytesText(plan.planned_bytes)}${most ? ` of ${bytesText(most)}${budget ? '' : ' free'}` : ''}` : '';
      place.title = plan.memory ?? '';
      place.classList.toggle('is-much', Boolean(most) && plan.planned_bytes > most);
    } catch (error) {
      if (mine !== this.#asked) return;
      place.textContent = '';
      if (error.status >= 400 && error.status < 500) showFormError(error, {focus: false});
    }
  }
}
