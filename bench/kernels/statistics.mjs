// Summaries of repeated times.

/** The middle value; the upper of the two in the middle. NaN for none. */
export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
export const least = (values) => Math.min(...values);
