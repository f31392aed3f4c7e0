"""Value types of the elements of 5GMM messages.

Flags are named from the lowest bit of an octet on, octets by their number in the specification's figure.

Source: TS 24.501 clause 9.11.3.
"""

from __future__ import annotations

import string
from typing import Any

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.nas.common import (
    ACCESS_TYPES,
    BIT,
    DNN,
    PLMN,
    S_NSSAI,
    SD,
    SESSIONS,
    SST,
    TIMER_3,
    U4,
    U8,
    choice,
    half,
)
from gentwin.signaling.values import (
    BySize,
    Count,
    Digits,
    Enum,
    Fixed,
    Flags,
    Framed,
    IfMore,
    Kind,
    ListOf,
    Lossless,
    Octets,
    Reader,
    Size,
    Sized,
    Struct,
    Switch,
    Text,
    UInt,
    When,
    Writer,
)

# --- registration, deregistration, service
NG_KSI = Struct(("tsc", Enum(1, {0: "native", 1: "mapped"})), ("ksi", UInt(3)))
REGISTRATION_TYPE = Struct(
    ("follow_on_request", BIT),
    (
        "type",
        Enum(
            3,
            {
                1: "initial",
                2: "mobility_updating",
                3: "periodic_updating",
                4: "emergency",
                5: "snpn_onboarding",
                6: "disaster_roaming_mobility_updating",
                7: "disaster_roaming_initial",
            },
        ),
    ),
)
REGISTRATION_RESULT = Struct(
    Fixed(1),
    ("disaster_roaming", BIT),
    ("emergency_registered", BIT),
    ("nssaa_to_be_performed", BIT),
    ("sms_allowed", BIT),
    ("result", Enum(3, ACCESS_TYPES)),
)
DEREGISTRATION_TYPE = Struct(
    ("switch_off", BIT), ("re_registration_required", BIT), ("access_type", Enum(2, ACCESS_TYPES))
)
SERVICE_TYPE = Enum(
    4,
    {
        0: "signalling",
        1: "data",
        2: "mobile_terminated_services",
        3: "emergency_services",
        4: "emergency_services_fallback",
        5: "high_priority_access",
        6: "elevated_signalling",
    },
)
CONTROL_PLANE_SERVICE_TYPE = choice(
    3,
    {
        0: "mobile_originating_request",
        1: "mobile_terminating_request",
        2: "emergency_services",
        3: "emergency_services_fallback",
    },
    4,
)
UPDATE_TYPE = Struct(
    Fixed(2),
    ("eps_preferred_ciot_behaviour", UInt(2)),
    ("5gs_preferred_ciot_behaviour", UInt(2)),
    ("ng_ran_radio_capability_update", BIT),
    ("sms_requested", BIT),
)
REQUEST_TYPE = choice(
    3,
    {
        1: "initial_request",
        2: "existing_pdu_session",
        3: "initial_emergency_request",
        4: "existing_emergency_pdu_session",
        5: "modification_request",
        6: "ma_pdu_request",
    },
    4,
)
UE_REQUEST_TYPE = choice(4, {1: "nas_signalling_connection_release", 2: "rejection_of_paging"}, 8)
UE_STATUS = Framed(Fixed(6), Flags("s1_mode_reg n1_mode_reg"))
UE_USAGE_SETTING = choice(1, {0: "voice_centric", 1: "data_centric"}, 8)
ADDITIONAL_REQUEST_RESULT = Framed(
    Fixed(6), Enum(2, {0: "no_information", 1: "paging_restriction_accepted", 2: "paging_restriction_rejected"})
)

# --- indications of half an octet
MICO_INDICATION = half("raai sprti")
NETWORK_SLICING_INDICATION = half("nssci dcni")
CONFIGURATION_UPDATE_INDICATION = half("ack red")
ADDITIONAL_CONFIGURATION_INDICATION = half("scmr")
SMS_INDICATION = half("sai")
N5GC_INDICATION = half("n5gcreg")
NON_3GPP_NW_POLICIES = half("n3en")
PRIORITY_INDICATOR = half("mpsi mcsi")
NSSAI_INCLUSION_MODE = choice(2, {0: "a", 1: "b", 2: "c", 3: "d"}, 4)
UE_RADIO_CAPABILITY_ID_DELETION = choice(3, {0: "not_requested", 1: "network_assigned"}, 4)
MA_PDU_SESSION_INFORMATION = choice(3, {1: "network_upgrade_allowed"}, 4)
RELEASE_ASSISTANCE_INDICATION = choice(
    2, {0: "no_information", 1: "no_further_data", 2: "one_downlink_data_expected"}, 4
)
IMEISV_REQUEST = choice(3, {0: "not_requested", 1: "requested"}, 4)

# --- capabilities
CAPABILITY_5GMM = Struct(
    ("octet_3", Flags("s1_mode ho_attach lpp restrict_ec 5g_cp_ciot n3_data 5g_iphc_cp_ciot sgc")),
    ("octet_4", Flags("5gsrvcc 5g_up_ciot v2x v2xcepc5 v2xcnpc5 5g_lcs nssaa racs"), IfMore()),
    ("octet_5", Flags("cag wusa multiple_up 5g_ehc_cp_ciot er_nssai prose_dd prose_dc prose_l2relay"), IfMore()),
    ("octet_6", Flags("prose_l3relay prose_l2rmt prose_l3rmt nr_pssi ncr piv rpr pr"), IfMore()),
    ("octet_7", Flags("nssrg mint event_notification ssnpnsi ex_cag nsag uas mpsiu"), IfMore()),
    ("more_octets", Octets(1, 8), IfMore()),
)
ALGORITHMS_OF_UE = {
    name: Flags(" ".join(f"{name}{number}" for number in range(8)), highest_first=True)
    for name in ("ea", "ia", "eea", "eia", "uea", "gea")
}
UE_SECURITY_CAPABILITY = Struct(
    ("ea", ALGORITHMS_OF_UE["ea"]),
    ("ia", ALGORITHMS_OF_UE["ia"]),
    (None, Struct(("eea", ALGORITHMS_OF_UE["eea"]), ("eia", ALGORITHMS_OF_UE["eia"])), IfMore()),
    ("more_octets", Octets(1, 4), IfMore()),
)
S1_UE_SECURITY_CAPABILITY = Struct(
    ("eea", ALGORITHMS_OF_UE["eea"]),
    ("eia", ALGORITHMS_OF_UE["eia"]),
    ("uea", ALGORITHMS_OF_UE["uea"], IfMore()),
    ("uia", Flags("- uia1 uia2 uia3 uia4 uia5 uia6 uia7", highest_first=True), IfMore()),
    ("gea", Flags("- gea1 gea2 gea3 gea4 gea5 gea6 gea7", highest_first=True), IfMore()),
)
S1_UE_NETWORK_CAPABILITY = Octets(2, 13)
NETWORK_FEATURE_SUPPORT = Struct(
    ("mpsi", BIT),
    ("iwk_n26", BIT),
    ("emf", UInt(2)),
    ("emc", UInt(2)),
    ("ims_vops", Flags("3gpp non_3gpp")),
    (
        "octet_4",
        Flags("emcn3 mcsi restrict_ec_0 restrict_ec_1 5g_cp_ciot n3_data 5g_iphc_cp_ciot 5g_up_ciot"),
        IfMore(),
    ),
    ("octet_5", Flags("5g_lcs ats_ind 5g_ehc_cp_ciot ncr piv rpr pr un_per"), IfMore()),
    ("more_octets", Octets(1, 1), IfMore()),
)

# --- security
SECURITY_ALGORITHMS = Struct(("ciphering", U4), ("integrity", U4))
ADDITIONAL_5G_SECURITY_INFORMATION = Framed(Fixed(6), Flags("hdp rinmr"))
ABBA = Octets(2, 255)
RAND, AUTN, AUTS, RES_STAR = Octets(16, 16), Octets(16, 16), Octets(14, 14), Octets(16, 16)

# --- slices
NSSAI_8 = ListOf("s_nssai", Sized(S_NSSAI), 1, 8)
NSSAI_16 = ListOf("s_nssai", Sized(S_NSSAI), 1, 16)
MAPPED_NSSAI = ListOf("s_nssai", Sized(BySize({1: Struct(SST), 4: Struct(SST, SD)})), 1, 8)
REJECTION_CAUSES = {
    0: "not_available_in_plmn",
    1: "not_available_in_registration_area",
    2: "not_available_after_failed_nssaa",
    3: "maximum_number_of_ues_reached",
}


def _rejected(s_nssai: Kind) -> Kind:
    return Struct(Size(4, "s_nssai"), ("cause", Enum(4, REJECTION_CAUSES)), ("s_nssai", s_nssai))


REJECTED_NSSAI = ListOf("rejected", _rejected(BySize({1: Struct(SST), 4: Struct(SST, SD)})), 1, 8)
EXTENDED_REJECTED_NSSAI = ListOf(
    "list",
    Struct(
        Fixed(1),
        ("type", choice(3, {0: "without_back_off_timer", 1: "with_back_off_timer"}, 3)),
        Count(4, "rejected_nssai", minus=1),
        ("back_off_timer", TIMER_3, When("type", "with_back_off_timer")),
        ("rejected_nssai", ListOf("rejected", _rejected(S_NSSAI), 1, 8)),
    ),
    1,
    8,
)

# --- areas
TAC = Octets(3, 3)
TAI = Struct(PLMN, ("tac", TAC))
AREA_TYPES = {0: "tacs_of_one_plmn", 1: "consecutive_tacs_of_one_plmn", 2: "tais"}


def _areas(*first: Any) -> dict[str, Struct]:
    """Returns the partial lists of tracking areas: first bit, type and number of elements, then the elements."""
    return {
        AREA_TYPES[0]: Struct(*first, Fixed(2, 0), Count(5, "tacs", 1), PLMN, ("tacs", ListOf("tac", TAC, 1, 16))),
        AREA_TYPES[1]: Struct(*first, Fixed(2, 1), ("number", UInt(5, 1, 16, minus=1)), PLMN, ("tac", TAC)),
        AREA_TYPES[2]: Struct(*first, Fixed(2, 2), Count(5, "tais", 1), ("tais", ListOf("tai", TAI, 1, 16))),
    }


AREA = ("area", Enum(1, {0: "allowed", 1: "not_allowed"}))
TAI_LIST = ListOf("list", Switch("type", Enum(2, AREA_TYPES), _areas(Fixed(1)), at=1), 1, 16)
SERVICE_AREA_LIST = ListOf(
    "list",
    Switch(
        "type",
        Enum(2, AREA_TYPES | {3: "plmn"}),
        _areas(AREA) | {"plmn": Struct(AREA, Fixed(2, 3), Fixed(5), PLMN)},
        at=1,
    ),
    1,
    16,
)
LADN_INFORMATION = ListOf("ladn", Struct(("dnn", Sized(Lossless(DNN))), ("tai_list", Sized(Lossless(TAI_LIST)))), 1, 8)
LADN_INDICATION = ListOf("dnn", Sized(Lossless(DNN)), 0, 8)
REGISTRATION_WAIT_RANGE = Struct(("minimum", U8), ("maximum", U8))

# --- sessions
REACTIVATION_RESULT_ERROR_CAUSE = ListOf("error", Struct(("pdu_session_id", U8), ("cause_5gmm", U8)), 1, 256)
EPS_BEARER_CONTEXT_STATUS = Flags("- " + " ".join(f"ebi_{number}" for number in range(1, 16)))
PAGING_RESTRICTION = Struct(
    Fixed(4),
    (
        "type",
        Enum(
            4,
            {
                1: "all_paging",
                2: "all_paging_except_voice",
                3: "all_paging_except_pdu_sessions",
                4: "all_paging_except_voice_and_pdu_sessions",
            },
        ),
    ),
    ("pdu_sessions", SESSIONS, IfMore()),
)

# --- sleep and timers
DRX_PARAMETERS = choice(4, {0: "not_specified", 1: "t_32", 2: "t_64", 3: "t_128", 4: "t_256"}, 8)
NB_N1_DRX_PARAMETERS = choice(
    4, {0: "not_specified", 1: "t_32", 2: "t_64", 3: "t_128", 4: "t_256", 5: "t_512", 7: "t_1024"}, 8
)
EXTENDED_DRX_PARAMETERS = Struct(
    ("paging_time_window", U4), ("edrx_value", U4), ("extended_paging_time_window", U8, IfMore())
)
ADDITIONAL_INFORMATION_REQUESTED = Framed(Fixed(7), Flags("cipher_key"))
TRUNCATED_S_TMSI_CONFIGURATION = Struct(("amf_set_id_bits", U4), ("amf_pointer_bits", U4))

# --- names and time


class SeptetText(Text):
    """Text in septets after the number of bits left over, for letters that the GSM default alphabet has as ASCII.

    Source:
        TS 24.008 clause 10.5.3.5a, TS 23.038 clauses 6.1.2.2 and 6.2.1.
    """

    exact = False

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.alphabet = frozenset(" !\"#%&'()*+,-./:;<=>?" + string.digits + string.ascii_letters)
        self.min_bits, self.max_bits = (3 + (7 * count + 7) // 8 * 8 for count in (low, high))

    def read(self, reader: Reader) -> str:
        spare = reader.uint(3)
        data = reader.octets()
        number = int.from_bytes(data, "little")
        text = "".join(chr(number >> 7 * place & 127) for place in range((len(data) * 8 - spare) // 7))
        if not self.allows(text):
            raise DecodeError(f"{data!r} is no text", reader.place >> 3)
        return text

    def write(self, writer: Writer, value: Any) -> None:
        super().write(Writer(), value)
        size = (7 * len(value) + 7) // 8
        writer.uint(size * 8 - 7 * len(value), 3)
        writer.octets(sum(ord(letter) << 7 * place for place, letter in enumerate(value)).to_bytes(size, "little"))


class TimeZone(UInt):
    """Quarters of an hour between local time and UTC, summer time included.

    Source:
        TS 24.008 clause 10.5.3.8, TS 23.040 clause 9.2.3.11.
    """

    def __init__(self) -> None:
        super().__init__(8, -79, 79)

    def read(self, reader: Reader) -> int:
        octet = reader.uint(8)
        tens, ones, negative = octet & 7, octet >> 4, octet >> 3 & 1
        if ones > 9 or (negative and not tens and not ones):
            raise DecodeError(f"{octet:#x} is no time zone", reader.place >> 3)
        return -(10 * tens + ones) if negative else 10 * tens + ones

    def write(self, writer: Writer, value: Any) -> None:
        UInt(8, self.low, self.high, minus=self.low).write(Writer(), value)
        tens, ones = divmod(abs(value), 10)
        writer.uint(ones << 4 | (value < 0) << 3 | tens, 8)


NETWORK_NAME = Switch(
    "coding",
    Enum(3, {0: "gsm_default_alphabet", 1: "ucs2"}),
    {
        "gsm_default_alphabet": Struct(Fixed(1, 1), Fixed(3, 0), ("add_ci", BIT), ("text", SeptetText(0, 200))),
        "ucs2": Struct(Fixed(1, 1), Fixed(3, 1), ("add_ci", BIT), Fixed(3), ("text", Text(0, 126, "utf-16-be"))),
    },
    at=1,
)
TIME_ZONE = TimeZone()
UNIVERSAL_TIME = Struct(("yymmddhhmmss", Digits(12, 12, octets=6)), ("time_zone", TIME_ZONE))
DAYLIGHT_SAVING_TIME = choice(2, {0: "none", 1: "plus_1_hour", 2: "plus_2_hours"}, 8)

# --- others
ACCESS_CATEGORY_DEFINITIONS = ListOf(
    "definition",
    Sized(
        Struct(
            ("precedence", U8),
            Count(1, "standardized_access_category"),
            Fixed(2),
            ("number", UInt(5)),
            ("criteria", Sized(Octets(0, 250))),
            ("standardized_access_category", Framed(Fixed(3), UInt(5))),
        )
    ),
    0,
    32,
)
SUPPORTED_CODECS = ListOf("codec", Struct(("system", U8), ("bitmap", Sized(Octets(1, 255)))), 1, 100)
NID = Octets(6, 6)
