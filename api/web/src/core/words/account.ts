// One's own sessions and password, loaded with the dialog that shows them.

import { both, speaker } from './both.ts'

export const ACCOUNT = both(
  {
    ownSessions: '我的会话',
    lastSeen: '最近使用 {at}',
    thisSession: '当前会话',
    endSession: '结束',
    endOthers: '结束其他全部会话',
    readingSessions: '正在读取会话…',
    changePassword: '修改密码',
    oldPassword: '原密码',
    newPassword: '新密码（至少 12 个字符）',
    wrongOldPassword: '原密码不正确。',
    passwordChanged: '密码已修改，其他会话均已结束。',
  },
  {
    ownSessions: 'My sessions',
    lastSeen: 'last used {at}',
    thisSession: 'this session',
    endSession: 'End',
    endOthers: 'End all others',
    readingSessions: 'Reading sessions…',
    changePassword: 'Change password',
    oldPassword: 'Old password',
    newPassword: 'New password (12 characters or more)',
    wrongOldPassword: 'The old password is another one.',
    passwordChanged: 'The password is changed; all other sessions have ended.',
  },
)

export const sayOfAccount = speaker(ACCOUNT)
