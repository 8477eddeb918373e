/**
 * Where a thread of this driver begins: beside this file, or, when the sources are run as they are, in what was built of
 * them, as Node runs no TypeScript in a thread.
 *
 * @param path - of the module, from this folder
 */
export function entryOf(path: string): URL {
  const here = import.meta.url.endsWith('.ts') ? '../../../dist/drivers/sqlite/' : './'
  return new URL(`${here}${path}`, import.meta.url)
}

/** What Node was started with is for the program: a thread would fail on `--input-type`, as its code is a file. */
export const THREAD_ARGUMENTS: string[] = []
