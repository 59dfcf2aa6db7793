// Pictures and sizes: files as data URIs, bytes and durations in words.

export function uriOf(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error('This file cannot be read.'));
    reader.readAsDataURL(blob);
  });
}

// Not by fetch(): connect-src allows the server alone.
export function blobOf(uri) {
  const [head, data] = uri.split(',');
  const text = atob(data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], {type: /^data:([^;]*)/.exec(head)?.[1] ?? ''});
}

// {name, uri, width, height}. Throws an Error with a sentence.
export async function readPicture(blob, name = '') {
  const uri = await uriOf(blob);
  const image = new Image();
  image.src = uri;
  try {
    await image.decode();
  } catch {
    throw new Error(`${name || 'This file'} cannot be read as a picture; give a PNG, JPEG or WebP.`);
  }
  return {name, uri, width: image.naturalWidth, height: image.naturalHeight};
}

// A picture of the server.
export async function fetchPicture(url, name) {
  const reply = await fetch(url).catch(() => null);
  if (!reply) throw new Error('The server does not answer. Is it still running?');
  if (!reply.ok) throw new Error('This picture is not on the server any more.');
  return readPicture(await reply.blob(), name);
}

export function bytesText(bytes) {
  if (!(bytes > 0)) return '';
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  for (; bytes >= 1000 && at < units.length - 1; ++at) bytes /= 1000;
  return `${bytes >= 100 || at === 0 ? Math.round(bytes) : Number(bytes.toFixed(1))}\u00a0${units[at]}`;
}

export function durationText(seconds) {
  if (seconds < 1.5) return '1 s';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
}

export const excerpt = (text, length = 80) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
