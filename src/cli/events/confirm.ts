import { createInterface } from 'node:readline/promises'
import { UsageError } from '../usage-error.js'

/**
 * Asks whether to do what cannot be taken back.
 *
 * @param facts - sentences that say what it is
 * @param yes - that was said before, with `--yes`
 * @returns whether the answer is yes; anything else is no, and ends the process with 1
 * @throws {@link UsageError} if there is nobody to ask
 */
export async function confirm(facts: readonly string[], yes: boolean, signal: AbortSignal): Promise<boolean> {
  if (yes) return true
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`${facts.join(' ')} There is nobody to ask; if that is meant, say --yes`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // While it reads lines, Ctrl-C comes to it and not to the process.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const answer = await terminal.question(`${facts.join('\n')}\nGo on? [y/N] `, { signal })
    if (/^y(es)?$/i.test(answer.trim())) return true
  } finally {
    terminal.close()
  }
  console.error('nothing was done')
  process.exitCode = 1
  return false
}
