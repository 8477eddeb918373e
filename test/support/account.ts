import { undoable, type Decider } from '../../src/events/index.js'

export type AccountCommand = { deposit: number } | { withdraw: number } | { rename: string } | { close: true }
export type AccountEvent =
  | { type: 'Deposited'; data: { amount: number } }
  | { type: 'Withdrawn'; data: { amount: number } }
  | { type: 'Renamed'; data: { to: string } }
  | { type: 'Closed' }

export interface Account {
  readonly balance: number
  readonly open: boolean
  readonly name?: string
}

/** An account whose balance is never below 0. */
export const account: Decider<Account, AccountCommand, AccountEvent> = {
  initialState: () => ({ balance: 0, open: true }),
  decide(command, { balance, open }) {
    if (!open) throw new Error('the account is closed')
    if ('deposit' in command) return { type: 'Deposited', data: { amount: command.deposit } }
    if ('rename' in command) return { type: 'Renamed', data: { to: command.rename } }
    if ('close' in command)
      return balance > 0
        ? [{ type: 'Withdrawn', data: { amount: balance } }, { type: 'Closed' }]
        : { type: 'Closed' }
    if (command.withdraw === 0) return []
    if (command.withdraw > balance) throw new Error(`only ${balance} is there`)
    return { type: 'Withdrawn', data: { amount: command.withdraw } }
  },
  evolve(state, event) {
    switch (event.type) {
      case 'Deposited':
        return { ...state, balance: state.balance + event.data.amount }
      case 'Withdrawn':
        return { ...state, balance: state.balance - event.data.amount }
      case 'Renamed':
        return { ...state, name: event.data.to }
      case 'Closed':
        return { ...state, open: false }
    }
  },
}

/** The same, whose commands can be taken back: all but closing. */
export const undoableAccount = undoable(account, {
  inverse: {
    Deposited: ({ data }) => ({ type: 'Withdrawn', data }),
    Withdrawn: ({ data }) => ({ type: 'Deposited', data }),
    Renamed: (_, { name }) => ({ type: 'Renamed', data: { to: name ?? '' } }),
  },
  check({ balance }) {
    if (balance < 0) throw new Error(`${-balance} would be missing`)
  },
})
