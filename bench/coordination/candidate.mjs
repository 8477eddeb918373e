// @ts-check
/**
 * A candidate of an election, as a program: `node candidate.mjs <coordinator> <ttl in ms>`. It prints when it is in line and when it
 * leads; resigns on SIGTERM and is a candidate again; and ends with its input.
 */
import { elect, openCoordinator } from '../../dist/coordination/index.js'
import { now } from '../events/load.mjs'

const [where = '', ttl = ''] = process.argv.slice(2)
const election = elect(await openCoordinator(where), 'bench', {
  ttl: Number(ttl),
  onLead: (signal) => {
    console.log(`leading ${now()}`)
    return new Promise((resolve) => signal.addEventListener('abort', resolve))
  },
})
election.on('change', (state) => {
  if (state.kind === 'follower' && state.place !== undefined) console.log('waiting')
})
process.on('SIGTERM', () => void election.resign())
process.stdin.resume().on('end', () => process.exit())
