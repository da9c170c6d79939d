from dataclasses import dataclass
@dataclass(frozen=True)
class Loss:
    t_ns: int
    birth_before: str = ""
    birth_after: str = ""
    boot_before: str = ""
    boot_after: str = ""
    writes: int = 0
@dataclass(frozen=True)
class Judgement:
    session: int
    kind: str = "kept"
    lost: bool = False
    rolled_back: bool = False
    stale: bool = False
    leaked: bool = False
    duplicated: bool = False
    forced_login: bool = False
    unknown: bool = False
    losses: tuple[Loss, ...] = ()
    acknowledged: int = 0
    lost_writes: int = 0
