import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from './child.js'
import type { Choices } from './choices.js'

/**
 * Runs processes in one place, one after the other, and kills each in the middle of what it does.
 *
 * @param kill - counts; true for the last one
 * @param ended - gets each when it has ended
 */
export async function torment(
  program: string,
  argument: object,
  choices: Choices,
  kill: () => boolean,
  ended: (child: Child) => void = () => undefined,
): Promise<void> {
  for (;;) {
    const child = new Child(program, argument)
    if (!choices.chance(0.1)) await child.ready
    // Those who stand by have nothing to say.
    await Promise.race([child.lines(2 + choices.below(20)), sleep(1500)])
    await sleep(choices.below(30))
    if (choices.chance(0.3) && !child.exit) {
      // It stands still until another has taken over, and then goes on with what it was doing.
      child.signal('SIGSTOP')
      await sleep(400)
      child.signal('SIGCONT')
      await sleep(choices.below(100))
    }
    if (child.exit) throw child.failure(`ended with ${child.exit.code ?? child.exit.signal}`)
    const isLast = kill()
    child.signal(choices.chance(0.85) ? 'SIGKILL' : 'SIGTERM')
    await child.exited
    ended(child)
    if (isLast) return
  }
}
