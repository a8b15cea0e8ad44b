// Runs inside the page, before VS Code does: reads the ghost text that is on screen and records how it changes from
// frame to frame. A frame is looked at in a ResizeObserver, which runs after all of the frame's animation callbacks and
// before it is painted: earlier, VS Code may have updated one line of the ghost text and not yet the other.
window.specdiffProbe = (() => {
  const clean = (text) => text.replace(/\u00a0/g, ' ').replace(/[\u200b\u200c]/g, '');
  const top = (line) => Number.parseFloat(line.style.top || '0');

  /** The ghost text shown now: what stands on the cursor's line, then the lines below it. */
  const read = () => {
    const first = [...document.querySelectorAll('.ghost-text-decoration, .ghost-text-decoration-preview')];
    const block = document.querySelector('.suggest-preview-text');
    const lines = block === null ? [] : [...block.querySelectorAll('.view-line')].sort((a, b) => top(a) - top(b));
    const head = clean(first.map((part) => part.textContent).join(''));
    return [head, ...lines.map((line) => clean(line.textContent))].join('\n');
  };

  let frames = [];
  let keys = [];
  let recording = false;
  let last;
  const look = () => {
    const text = read();
    if (text === last) return;
    frames.push({ atMs: performance.now(), text });
    last = text;
  };

  // An element that changes its size in every frame makes a ResizeObserver call back in every frame.
  const pulse = document.createElement('div');
  pulse.style.cssText = 'position:fixed;top:0;left:0;height:1px;width:1px;opacity:0;pointer-events:none';
  new window.ResizeObserver(() => recording && look()).observe(pulse);
  const beat = () => {
    if (!recording) return;
    pulse.style.width = pulse.style.width === '1px' ? '2px' : '1px';
    requestAnimationFrame(beat);
  };
  document.addEventListener('keydown', (event) => recording && keys.push({ atMs: event.timeStamp, key: event.key }), {
    capture: true,
  });

  return {
    read,
    start() {
      frames = [];
      keys = [];
      last = undefined;
      if (recording) return;
      recording = true;
      document.body.append(pulse);
      beat();
    },
    /** What was recorded since the start or the last take. */
    take() {
      const taken = { frames, keys };
      frames = [];
      keys = [];
      return taken;
    },
    stop() {
      const taken = this.take();
      recording = false;
      return taken;
    },
  };
})();
