// @ts-check
import { memorySnapshots, openLog, repository } from '../../dist/events/index.js'
import { account } from './account.mjs'

/**
 * @param {string} where
 * @param {string} category of streams that are not there yet
 * @param {number} [every] events after which a snapshot is made; default none
 * @returns {Promise<import('./account.mjs').Contestant>}
 */
export async function openBanyan(where, category, every) {
  const log = await openLog(where)
  const accounts = repository(log, account, {
    category,
    ...(every && { snapshots: { store: memorySnapshots(100_000), version: 1, every } }),
  })
  return {
    fill: (stream, events) =>
      log.append({ streams: [{ stream: accounts.streamOf(`${stream}`), expected: 'none', events }] }),
    load: async (stream) => (await accounts.load(`${stream}`)).state,
    handle: async (stream, command) => (await accounts.handle(`${stream}`, command)).state,
    close: () => log.close(),
  }
}
