// The colours that were chosen, before anything is painted.
import {saved} from './saved.js';

document.documentElement.dataset.theme = saved('theme', '');
