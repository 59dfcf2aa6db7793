// The two views, drawing and training runs, and the choice of colours.
import {save, saved} from './saved.js';
import {showTraining} from './training.js';

const byId = (id) => document.getElementById(id);

const kHere = /^(localhost|127\.[\d.]+|\[::1\])$/;

export function listenToViews() {
  if (!kHere.test(location.hostname)) byId('privacy').textContent = 'No picture and no prompt goes anywhere but to this server.';

  let stop = null;
  const choose = (name) => {
    const training = name === 'training';
    byId('draw-view').hidden = training;
    byId('training-view').hidden = !training;
    for (const [id, on] of [['tab-draw', !training], ['tab-training', training]]) {
      if (on) byId(id).setAttribute('aria-current', 'page');
      else byId(id).removeAttribute('aria-current');
    }
    if (training) {
      stop = showTraining(byId('training-view'));
    } else {
      stop?.();
      stop = null;
      byId('training-view').replaceChildren();
    }
  };
  const follow = () => choose(location.hash === '#training' ? 'training' : 'draw');
  byId('tab-draw').addEventListener('click', () => { location.hash = ''; });
  byId('tab-training').addEventListener('click', () => { location.hash = 'training'; });
  addEventListener('hashchange', follow);
  follow();

  const theme = byId('theme');
  theme.value = saved('theme', '');
  theme.addEventListener('change', () => {
    save('theme', theme.value);
    document.documentElement.dataset.theme = theme.value;
  });
}
