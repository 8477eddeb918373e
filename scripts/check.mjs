// @ts-check
/**
 * Everything that is checked without running it: as many steps at once as there are cores, the longest first. What a step
 * has said is shown when it has failed.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Scripts of the package. They are independent of each other; all of them but the first need what it builds. */
const [FIRST, ...STEPS] = ['build', 'lint', 'format:check', 'typecheck', 'package', 'arrows', 'dead']

/**
 * @param {string} step
 * @returns {Promise<void>}
 */
function run(step) {
  return new Promise((resolve) => {
    const child = spawn('npm', ['run', '--silent', step], { stdio: ['ignore', 'pipe', 'pipe'] })
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

await run(FIRST)
if (process.exitCode) process.exit()
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let step = STEPS.shift(); step; step = STEPS.shift()) await run(step)
  }),
)
