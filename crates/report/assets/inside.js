// The browser of memories, and the attention of heads: what is shown of `looks` when a reader chooses.
'use strict';
(() => {
  const { write } = saltus;
  const block = document.getElementById('looks') || document.getElementById('findings');
  if (!block || !document.querySelector('[data-memories], [data-attention]')) return;
  const found = JSON.parse(block.textContent);
  const models = found.models?.[0]?.details ? found.models : found.inside;
  const detail = id => { const [m, d] = id.split('-').map(Number); return models[m].details[d]; };
  const visible = t => t.replace(/\n/g, '⏎');

  function element(name, attributes = {}, ...children) {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }
  function choice(label, options, change) {
    const select = element('select', {}, ...options.map(([value, text]) => element('option', { value }, text)));
    select.addEventListener('change', () => change(select.value));
    return [element('label', {}, `${label} `, select), select];
  }

  // ---- memories ----
  for (const frame of document.querySelectorAll('[data-memories]')) {
    const book = detail(frame.dataset.memories);
    const layers = [...new Set(book.memories.map(m => m.layer))];
    const shown = element('div', { 'aria-live': 'polite' });
    const search = element('input', { type: 'search', placeholder: 'a token it votes for', 'aria-label': 'Search memories by what they vote for' });
    let layer = layers[layers.length - 1], list = [];
    const [layerBox, layerSelect] = choice('Layer', layers.map(l => [l, l]), v => { layer = Number(v); fill(); });
    layerSelect.value = layer;
    const [keyBox, keySelect] = choice('Memory', [], v => show(list[Number(v)]));
    const wanted = m => {
      const text = search.value.trim().toLowerCase();
      return text === '' || [...m.top, ...m.bottom].some(v => v.token.toLowerCase().includes(text));
    };
    function fill() {
      list = book.memories.filter(m => m.layer === layer && wanted(m));
      keySelect.replaceChildren(...list.map((m, i) => element('option', { value: i }, `${m.unit}: ${visible(m.top[0]?.token ?? '')}${m.agrees ? ' (agrees)' : ''}`)));
      if (list.length) show(list[0]); else shown.replaceChildren('No memory of this layer that is kept here votes for that.');
    }
    function trigger(t, most) {
      const share = most > 0 ? Math.abs(t.coefficient) / most : 0;
      const words = t.tokens.map((token, i) => element('span', i === t.tokens.length - 1 ? { class: 'last' } : {}, visible(token)));
      const next = t.next === null ? [] : [element('span', { class: 'next' }, visible(t.next))];
      return element('li', {}, element('span', { class: 'prefix' }, ...words, ...next), element('small', {}, ` ${write('number', t.coefficient)}${share < 1 ? ` (${write('share', share, 2)} of the first)` : ''}`));
    }
    function votes(title, all) {
      return element('div', {}, element('h4', {}, title), element('ol', {}, ...all.map(v => element('li', {}, element('code', {}, visible(v.token)), element('small', {}, ` ${write('number', v.score)}`)))));
    }
    function show(m) {
      const most = Math.max(...m.triggers.map(t => Math.abs(t.coefficient)), 0);
      shown.replaceChildren(
        element('h4', {}, `Layer ${m.layer}, unit ${m.unit}: prefixes that trigger its key`),
        element('ol', {}, ...m.triggers.map(t => trigger(t, most))),
        element('p', { class: 'note' }, m.agrees ? 'Its value votes first for the token that follows the first trigger.' : 'Its value does not vote first for the token that follows the first trigger.'),
        element('div', { class: 'votes' }, votes('Its value votes for', m.top), votes('and against', m.bottom)));
    }
    search.addEventListener('input', fill);
    frame.replaceChildren(element('div', { class: 'choose' }, layerBox, keyBox, search), shown);
    fill();
  }

  // ---- attention ----
  for (const frame of document.querySelectorAll('[data-attention]')) {
    const picture = detail(frame.dataset.attention);
    if (!picture.heads.length) { frame.remove(); continue; }
    const line = element('p', { class: 'prefix' });
    const name = h => `layer ${h.layer}, head ${h.head}: adds ${write('number', h.amount)}`;
    function show(h) {
      line.replaceChildren(...picture.tokens.map((t, i) => {
        const span = element('span', { class: 'weight', title: write('share', h.attention[i] ?? null) }, visible(t));
        span.style.setProperty('--w', Math.round(100 * (h.attention[i] ?? 0)));
        return span;
      }));
    }
    const [box] = choice('Attention from the last token:', picture.heads.map((h, i) => [i, name(h)]), v => show(picture.heads[Number(v)]));
    frame.replaceChildren(element('div', { class: 'choose' }, box), line);
    show(picture.heads[0]);
  }
})();
