// Lists that change while they are looked at: what stays is not made anew, and keeps the focus.

// `keyOf(item)` names an item, `make(item)` its element, `update(element, item)` shows what has changed.
export function showList(list, items, {keyOf, make, update}) {
  const before = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const at = focused ? [...list.children].findIndex((element) => element.contains(focused)) : -1;
  let next = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = before.get(key);
    before.delete(key);
    if (!element) {
      element = make(item);
      element.dataset.key = key;
    }
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
    update(element, item);
  }
  for (const element of before.values()) element.remove();
  if (!focused || document.activeElement === focused) return;
  // Moving takes the focus away; of one that went, its neighbour gets it.
  const neighbour = list.children[Math.min(at, list.children.length - 1)];
  (focused.isConnected ? focused : neighbour?.querySelector('button:not([disabled])'))?.focus();
}
