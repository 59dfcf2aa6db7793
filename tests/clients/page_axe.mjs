// axe-core's rules on what the page shows just now: nothing serious, nothing critical.
import assert from 'node:assert/strict';
import axeCore from 'axe-core';

export async function axe(page, what) {
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axeCore.source);
  // Colours fade in, and are judged as they will be.
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))));
  const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
  const serious = found.violations.filter(({impact}) => ['serious', 'critical'].includes(impact))
    .flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`));
  assert.deepEqual(serious, [], what);
}
