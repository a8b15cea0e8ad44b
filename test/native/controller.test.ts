import { describe, expect, it } from 'vitest';
import { testAddon } from '../support/native';
import { seeded } from '../support/random';

const addon = testAddon();

/** A machine and drafters as the controller meets them; times come from here, not from a clock. */
interface World {
  /** Time of a pass of n rows. */
  readonly passMs: (rows: number) => number;
  readonly drafters: readonly {
    readonly name: string;
    readonly draftMs: number;
    readonly maxLength: number;
    /** Chance that a position is accepted where those before it were. */
    readonly chance: (pass: number) => number;
  }[];
}

interface Ran {
  readonly ms: number;
  readonly tokens: number;
  readonly plans: string[];
}

function run(
  world: World,
  passes: number,
  { plainAllowed = true, controller = new addon.Controller(), seed = 3 } = {},
): Ran {
  const next = seeded(seed);
  let ms = 0;
  let tokens = 0;
  const plans: string[] = [];
  const candidates = world.drafters.map(({ name, maxLength }) => ({ drafter: name, outlook: 0, maxLength }));
  for (let pass = 0; pass < passes; pass += 1) {
    const plan = controller.next(candidates, plainAllowed);
    const drafter = world.drafters[plan.candidate];
    let accepted = 0;
    while (drafter !== undefined && accepted < plan.length && next() < drafter.chance(pass)) accepted += 1;
    const targetMs = world.passMs(plan.length + 1);
    const draftMs = drafter?.draftMs ?? 0;
    controller.observe({ drafter: drafter?.name ?? '', outlook: 0, drafted: plan.length, accepted, draftMs, targetMs });
    ms += targetMs + draftMs;
    tokens += accepted + 1;
    plans.push(drafter === undefined ? 'plain' : `${drafter.name}:${plan.length}`);
  }
  return { ms, tokens, plans };
}

const share = (plans: readonly string[], start: string) =>
  plans.filter((plan) => plan.startsWith(start)).length / plans.length;
/** Speed against plain decoding on the same machine. */
const speedUp = (world: World, ran: Ran) => (ran.tokens * world.passMs(1)) / ran.ms;

const dear = (rows: number) => 8 + 4.5 * (rows - 1); // stock kernels
const cheap = (rows: number) => 8 + 0.4 * (rows - 1); // batch kernels
const drafter = (name: string, chance: number, draftMs = 0, maxLength = 15) => ({
  name,
  draftMs,
  maxLength,
  chance: () => chance,
});

describe('the controller', () => {
  it('switches a losing drafter off and then hardly loses to plain decoding', () => {
    for (const world of [
      { passMs: dear, drafters: [drafter('ngram', 0.2)] },
      { passMs: dear, drafters: [drafter('ngram', 0.3), drafter('diffusion', 0.1, 6, 7)] },
      { passMs: cheap, drafters: [drafter('diffusion', 0.02, 20, 7)] },
    ]) {
      const controller = new addon.Controller();
      run(world, 300, { controller });
      const later = run(world, 2000, { controller });
      expect(share(later.plans, 'plain')).toBeGreaterThan(0.95);
      expect(speedUp(world, later)).toBeGreaterThan(0.97);
    }
  });

  it('never loses much, even while it learns', () => {
    for (const chance of [0, 0.2, 0.4, 0.6, 0.8, 0.95]) {
      for (const passMs of [dear, cheap]) {
        const world = { passMs, drafters: [drafter('ngram', chance), drafter('diffusion', chance / 2, 4, 7)] };
        expect(speedUp(world, run(world, 400))).toBeGreaterThan(0.9);
      }
    }
  });

  it('drafts long where that pays and short where rows are dear', () => {
    const chance = 0.85;
    const long = run({ passMs: cheap, drafters: [drafter('ngram', chance)] }, 600).plans.slice(-200);
    const short = run({ passMs: dear, drafters: [drafter('ngram', chance)] }, 600).plans.slice(-200);
    const length = (plans: readonly string[]) => {
      const lengths = plans.filter((plan) => plan !== 'plain').map((plan) => Number(plan.split(':')[1]));
      return lengths.reduce((sum, value) => sum + value, 0) / lengths.length;
    };
    expect(length(long)).toBeGreaterThan(6);
    expect(length(short)).toBeLessThan(length(long));
  });

  it('comes near the best fixed plan', () => {
    const world = { passMs: cheap, drafters: [drafter('ngram', 0.3), drafter('diffusion', 0.8, 2, 7)] };
    const best = Math.max(
      ...[1, 2, 3, 4, 5, 6, 7].map((length) => {
        const tokens = Array.from({ length: length + 1 }, (_, i) => 0.8 ** i).reduce((sum, value) => sum + value, 0);
        return (tokens * cheap(1)) / (cheap(length + 1) + 2);
      }),
    );
    expect(speedUp(world, run(world, 2000))).toBeGreaterThan(0.9 * best);
  });

  it('comes back to a drafter that has become good', () => {
    const improving = { name: 'ngram', draftMs: 0, maxLength: 15, chance: (pass: number) => (pass < 500 ? 0 : 0.9) };
    const { plans } = run({ passMs: cheap, drafters: [improving] }, 4000);
    expect(share(plans.slice(400, 500), 'plain')).toBeGreaterThan(0.9);
    expect(share(plans.slice(-500), 'ngram')).toBeGreaterThan(0.9);
  });

  it('always drafts with a drafter the user chose', () => {
    const { plans } = run({ passMs: dear, drafters: [drafter('diffusion', 0, 5, 7)] }, 300, { plainAllowed: false });
    expect(share(plans, 'diffusion')).toBe(1);
    expect(plans.at(-1)).toBe('diffusion:1');
  });

  it('decodes plainly where nobody can draft, and measures what that takes', () => {
    const controller = new addon.Controller();
    expect(controller.plainMs()).toBe(0);
    const { plans } = run({ passMs: dear, drafters: [] }, 10, { controller });
    expect(share(plans, 'plain')).toBe(1);
    expect(controller.plainMs()).toBeCloseTo(8, 6);
  });

  it('shrugs off a busy moment', () => {
    const controller = new addon.Controller();
    const world = { passMs: cheap, drafters: [drafter('ngram', 0.8)] };
    run(world, 200, { controller });
    controller.observe({ drafter: 'ngram', outlook: 0, drafted: 8, accepted: 6, draftMs: 0, targetMs: 5000 });
    expect(share(run(world, 100, { controller }).plans, 'ngram')).toBeGreaterThan(0.9);
  });

  it('makes the same plans from the same measures', () => {
    const world = { passMs: dear, drafters: [drafter('ngram', 0.6), drafter('diffusion', 0.5, 3, 7)] };
    expect(run(world, 500).plans).toEqual(run(world, 500).plans);
  });
});
