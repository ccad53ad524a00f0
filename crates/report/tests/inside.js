// Watches the page from its first moment; then chooses memories and heads as a reader would.
const errors = [];
addEventListener('error', e => errors.push(`${e.message} at line ${e.lineno}`));
addEventListener('unhandledrejection', e => errors.push(String(e.reason)));
addEventListener('securitypolicyviolation', e => errors.push(`policy: ${e.violatedDirective} ${e.blockedURI}`));
// ==== after ====
setTimeout(() => {
  const page = document.documentElement, works = {};
  const figures = [...document.querySelectorAll('figure[data-figure]')];
  const choose = (select, value) => { select.value = value; select.dispatchEvent(new Event('change')); };
  const memories = document.querySelector('[data-memories]'), [layer, key] = memories.querySelectorAll('select');
  works['the last layer comes first'] = layer.value === '2' && memories.textContent.includes('Layer 2, unit 0');
  choose(layer, '1');
  choose(key, '2');
  works['a memory is chosen'] = memories.textContent.includes('Layer 1, unit 2') && memories.querySelector('.last') !== null;
  works['its votes are shown'] = memories.querySelectorAll('.votes li').length === 3;
  const search = memories.querySelector('input');
  search.value = 'nobody';
  search.dispatchEvent(new Event('input'));
  works['what is not there is not found'] = memories.textContent.includes('No memory');
  search.value = 'never';
  search.dispatchEvent(new Event('input'));
  works['what is there is found'] = key.options.length === 3;
  const attention = document.querySelector('[data-attention]');
  const weight = () => attention.querySelectorAll('.weight')[2].style.getPropertyValue('--w');
  works['attention is drawn'] = weight() === '70';
  choose(attention.querySelector('select'), '1');
  works['another head'] = attention.querySelectorAll('.weight').length === 3;
  const grid = figures.find(f => f.id === 'figure-knowledge-logit-lens-p-at-1'), plot = saltusPage.plots.get(grid.id);
  const hit = plot.drawn.hits.find(h => h.vx === 1), b = plot.drawn.svg.getBoundingClientRect();
  plot.canvas.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: b.left + hit.x, clientY: b.top + hit.y }));
  works['a cell tells its number'] = document.getElementById('tip').textContent.includes('Layer');
  works['no number is missing'] = figures.every(f => !/NaN|undefined|Infinity/.test(f.querySelector('svg').outerHTML));
  const wide = [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll, pre, svg, .tools')).slice(0, 4)
    .map(e => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
  parent.postMessage(JSON.stringify({
    errors, works, wide,
    drawn: figures.filter(f => f.dataset.drawn === 'yes').length,
    overflow: page.scrollWidth - page.clientWidth,
  }), '*');
}, 1500);
