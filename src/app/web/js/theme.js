// Before anything is painted: the colours that were chosen.
import {saved} from './saved.js';

document.documentElement.dataset.theme = saved('theme', '');

// From an address with a token in it (http://user:token@host) pages may load, but not call: the browser keeps the token,
// the address goes without.
if (new URL(document.baseURI).password) location.replace(location.origin + location.pathname + location.hash);
