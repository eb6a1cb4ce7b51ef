/**
 * How long a test may take that boots a guest: seconds on a quiet host, minutes where many others want the processors. No test depends on
 * being fast; this ends those that would never end.
 */
export const patienceMs = 300_000;
