import { expect, it } from 'vitest';
import { RestartPolicy } from '../../../extension/client/restartPolicy';

it('gives up after the cap, and forgets crashes with time or on request', () => {
  let now = 0;
  const policy = new RestartPolicy(2, 1000, () => now);
  expect([policy.mayRestart(), policy.mayRestart(), policy.mayRestart()]).toEqual([true, true, false]);
  policy.reset();
  expect(policy.mayRestart()).toBe(true);
  expect(policy.mayRestart()).toBe(true);
  now = 1000;
  expect(policy.mayRestart()).toBe(true);
});
