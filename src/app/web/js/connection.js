// Whether the server is there: a banner while it is not, and what to do once it is back.
import {get, onAnswer} from './api.js';
import {say} from './dialogs.js';

const kEvery = 4000;  // ms

// `onBack()` is called when the server answers again; `onCounts({queued, running})` at each beat.
export function watchConnection({onBack, onCounts}) {
  const banner = document.getElementById('connection');
  let lost = false, asking = false, timer = 0;

  async function beat() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      const health = await get('/health', {timeout: 15000});
      if (lost) {
        lost = false;
        banner.hidden = true;
        say('The server answers again.');
        onBack();
      } else {
        onCounts(health);
      }
    } catch (error) {
      if (error.status === 0 && !lost) {
        lost = true;
        banner.textContent = 'The connection to the server is lost. Is “sumi serve” still running? Trying again…';
        banner.hidden = false;
      }
    }
    asking = false;
    clearTimeout(timer);
    timer = setTimeout(beat, lost ? kEvery / 2 : document.hidden ? kEvery * 5 : kEvery);
  }
  onAnswer((answered) => {
    if (!answered && !lost && !asking) beat();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) beat();
  });
  timer = setTimeout(beat, kEvery);
}
