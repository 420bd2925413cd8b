// The wall display: what it says when it cannot show what is.

import { both, speaker } from './both.ts'

export const WALL = both(
  {
    signedOut: '登录已失效，显示的是 {at} 的数据，数值已冻结',
    never: '未登录，尚无任何数据',
    signIn: '登录',
  },
  {
    signedOut: 'The session has ended: showing data of {at}; values are frozen',
    never: 'Nobody is signed in; there is no data yet',
    signIn: 'Sign in',
  },
)
export const sayWall = speaker(WALL)
