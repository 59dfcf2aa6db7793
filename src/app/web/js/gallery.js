// All pictures that the server keeps, the newest first. One is shown large: picture.js.
import {el} from './modal.js';
import {excerpt} from './files.js';
import {showList} from './list.js';

const byId = (id) => document.getElementById(id);
const kAtFirst = 60;
const keyOf = ({job, picture}) => `${job.id}/${picture.number}`;

export class Gallery {
  #shown = kAtFirst;

  // `choose({job, picture}, {focus})`; `remove({job, picture})` for the Delete key.
  constructor(jobs, {choose, remove}) {
    Object.assign(this, {jobs, choose, remove});
    byId('gallery-more').addEventListener('click', () => {
      const next = byId('gallery').children.length;
      this.#shown += kAtFirst;
      this.show(this.current);
      byId('gallery').children[next]?.querySelector('button').focus();
    });
    byId('gallery').addEventListener('keydown', (event) => this.#keys(event));
  }

  // `current`: the one that is shown large, or null.
  show(current) {
    this.current = current;
    const all = this.jobs.pictures(), currentKey = current ? keyOf(current) : '';
    byId('gallery-empty').hidden = all.length > 0;
    byId('gallery-more').hidden = all.length <= this.#shown;
    showList(byId('gallery'), all.slice(0, this.#shown), {keyOf, make: (one) => this.#make(one),
      update: (item, one) => {
        item.one = one;
        const thumb = item.firstElementChild;
        thumb.setAttribute('aria-current', String(keyOf(one) === currentKey));
        thumb.tabIndex = keyOf(one) === currentKey ? 0 : -1;
      }});
    // One of them is in the order of Tab; arrows go on from there.
    const thumbs = [...byId('gallery').querySelectorAll('.thumb')];
    if (thumbs.length > 0 && !thumbs.some((thumb) => thumb.tabIndex === 0)) thumbs[0].tabIndex = 0;
  }

  #make({job, picture}) {
    const text = picture.prompt || job.request?.prompts?.[0] || (job.upscaling ? 'Enlarged picture' : 'No prompt');
    const item = el('li', {}, el('button', {type: 'button', class: 'thumb', 'data-testid': 'thumb', 'data-job': job.id,
      'data-number': picture.number, title: excerpt(text, 200), on: {click: () => this.choose(item.one)}},
    el('img', {src: picture.url, alt: excerpt(text, 120), loading: 'lazy', decoding: 'async', width: picture.width, height: picture.height})));
    return item;
  }

  #keys(event) {
    const thumbs = [...byId('gallery').querySelectorAll('.thumb')], at = thumbs.indexOf(document.activeElement);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = thumbs.filter((thumb) => thumb.offsetTop === thumbs[0].offsetTop).length;
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0,
      End: thumbs.length - 1}[event.key];
    if (event.key === 'Delete') this.remove(thumbs[at].parentElement.one);
    else if (thumbs[to]) thumbs[to].focus();
    else if (to === undefined) return;
    event.preventDefault();
  }
}
