"""What a pool's token does when the pool calls it: the honest one, and the one with any bad habit."""

from copy import deepcopy
from inspect import unwrap

from .state import Base, HostileToken
from .words import ModelError, require, short


class Tokens(Base):
    def take(self, token: int, now: int, owner: int, pool: int, amount: int) -> None:
        """The token's `transfer_from`, called by the pool."""
        if isinstance(self.state.tokens[token], HostileToken):
            hostile = self._play(token, now)
            require(amount <= hostile.allowances.get((owner, pool), 0), "TOKEN/ALLOWANCE")
            hostile.allowances[owner, pool] -= amount
            self._move_badly(hostile, owner, pool, amount)
        else:
            require((owner, pool) in self.state.tokens[token].approved, "ERC20: insufficient allowance")
            self._move(token, owner, pool, amount)

    def give(self, token: int, now: int, pool: int, recipient: int, amount: int) -> None:
        """The token's `transfer`, called by the pool."""
        if isinstance(self.state.tokens[token], HostileToken):
            self._move_badly(self._play(token, now), pool, recipient, amount)
        else:
            self._move(token, pool, recipient, amount)

    def _move(self, token: int, sender: int, recipient: int, amount: int) -> None:
        balances = self.state.tokens[token].balances
        require(balances.get(sender, 0) >= amount, "ERC20: insufficient balance")
        balances[sender] -= amount
        balances[recipient] = balances.get(recipient, 0) + amount
        self.emit(token, "Transfer", {"from": sender, "to": recipient}, {"value": amount})

    def _play(self, token: int, now: int) -> HostileToken:
        """What it does before it moves anything. Nothing read before this is still true after it."""
        hostile = self.state.tokens[token]
        assert isinstance(hostile, HostileToken)
        require(hostile.habit != "panics", "MOCK/PANIC")
        if hostile.habit == "calls back":
            function, arguments = hostile.call
            before, events = deepcopy(self.state), list(self.events)
            success = True
            try:
                result = unwrap(getattr(type(self), function))(self, token, now, **arguments)
                answer = [] if result is None else [result]
            except ModelError as error:
                self.state, self.events = before, events
                success, answer = False, [short(error.code), short("ENTRYPOINT_FAILED")]
            self.emit(token, "CalledBack", {}, {"success": success, "answer": answer})
        hostile = self.state.tokens[token]
        assert isinstance(hostile, HostileToken)
        return hostile

    def _move_badly(self, token: HostileToken, sender: int, recipient: int, amount: int) -> None:
        """What becomes of the balances, and what the pool makes of the answer."""
        if token.habit != "stands still":
            require(token.habit != "blocks" or token.victim not in (sender, recipient), "TOKEN/BLOCKED")
            if token.habit != "conjures":
                require(amount <= token.balances.get(sender, 0), "TOKEN/BALANCE")
                token.balances[sender] -= amount
            fee = 1 if token.habit == "takes a fee" else 0
            token.balances[recipient] = token.balances.get(recipient, 0) + amount - fee
        require(token.habit != "says nothing", "Returned data too short")
        require(token.habit != "says no", "POOL/TRANSFER_FAILED")
