// What the browser keeps for this page: texts and settings in localStorage, pictures in IndexedDB. Where it keeps
// nothing (private windows, full disks) the page works without.

export function saved(name, otherwise) {
  try {
    const text = localStorage.getItem(`sumi.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function save(name, value) {
  try {
    localStorage.setItem(`sumi.${name}`, JSON.stringify(value));
  } catch { /* not kept */ }
}

function pictures(mode, call) {
  return new Promise((resolve, reject) => {
    const open = indexedDB.open('sumi', 1);
    open.onupgradeneeded = () => open.result.createObjectStore('pictures');
    open.onerror = () => reject(open.error);
    open.onsuccess = () => {
      const transaction = open.result.transaction('pictures', mode);
      const request = call(transaction.objectStore('pictures'));
      transaction.oncomplete = () => {
        open.result.close();
        resolve(request.result);
      };
      transaction.onabort = () => reject(transaction.error);
    };
  });
}

export async function savedPictures(name) {
  try {
    return await pictures('readonly', (store) => store.get(name)) ?? null;
  } catch {
    return null;
  }
}

// `value` of strings, numbers and lists; null deletes.
export async function savePictures(name, value) {
  try {
    await pictures('readwrite', (store) => (value === null ? store.delete(name) : store.put(value, name)));
  } catch { /* not kept */ }
}
