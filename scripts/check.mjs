// @ts-check
/**
 * Everything that is checked without running it: as many steps at once as there are cores, the longest first. What a step
 * has said is shown when it has failed.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Scripts of the package. They are independent of each other; all of them need what is built. */
const STEPS = ['lint', 'format:check', 'typecheck', 'package', 'arrows', 'dead']

/**
 * @param {string} step
 * @param {...string} more arguments
 * @returns {Promise<void>}
 */
function run(step, ...more) {
  return new Promise((resolve) => {
    const args = ['run', '--silent', step, '--', ...more]
    const child = spawn('npm', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    /** @type {Buffer[]} */
    const said = []
    child.stdout.on('data', (data) => said.push(data))
    child.stderr.on('data', (data) => said.push(data))
    child.once('close', (code) => {
      if (code !== 0) {
        process.exitCode = 1
        console.error(`npm run ${step} has failed:\n${Buffer.concat(said).toString()}`)
      }
      resolve()
    })
  })
}

// All types are checked by a step of its own.
await run('build', '--noCheck')
if (process.exitCode) process.exit()
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let step = STEPS.shift(); step; step = STEPS.shift()) await run(step)
  }),
)
